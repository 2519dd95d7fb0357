"""A page for operators: the sessions of a hub, and what happened to each lately. Off unless it is mounted.

Threads: request threads. It asks the hub for a bounded piece at a time (``../server/looking.py``), and
renders HTML without a script. Begin with ``inspector.py``.
"""

from .inspector import Inspector

__all__ = ["Inspector"]
