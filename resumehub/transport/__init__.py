"""One WebSocket's bytes: frames from a socket, frames to a socket, and a way to cut both off.

A transport knows no session, no message and no deadline, and it starts no thread. simple-websocket is
imported here only. Threads: one reads, one writes at a time, any may abort. Begin with ``base.py``: the
contract, in numbered clauses.
"""
