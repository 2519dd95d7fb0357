"""A hub's way to another process, whole, with its live sockets.

Threads: one that moves, the link's threads at either end. Begin with ``move_source.py``.
"""
