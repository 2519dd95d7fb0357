"""What becomes of a hub's sessions while no process holds it: they wait in a file of the folder.

Threads: the member's, at a full stop and at a start; it blocks for the file system.
Begin with ``parking.py``.
"""
