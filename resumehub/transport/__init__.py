"""One WebSocket's bytes: frames from a socket, frames to a socket, and a way to end both at once.

A transport knows no session, no message and no deadline. It starts no thread. Only this folder imports
simple-websocket. Threads: one reads, one writes at a time, any may abort. Begin with ``base.py``: the
contract, in numbered clauses.
"""
