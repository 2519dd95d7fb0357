"""Several processes of one host share one hub: who holds it, and how the others reach it.

Threads: those of the application call in; each link has one thread of its own. Begin with ``door.py``.
"""
