"""A dial at a worker: the verdict comes from the hub's process, and the socket goes there.

Threads: a request thread in the worker, the link's threads at either end. Begin with ``dial_messages.py``.
"""
