"""Calls of a worker's threads, answered by the hub's process over a link.

Threads: the calling ones in the worker, the link's thread in the hub. Begin with ``call_messages.py``.
"""
