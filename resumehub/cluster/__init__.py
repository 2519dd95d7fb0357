"""Several processes of one host that share one hub: their folder, their links, and how the hub moves.

Of the processes that share a folder one holds the hub. All others pass it the sockets that they accept, and
their calls go to it over a link. Threads: those of the application call in; a member's own thread, and one
thread for each link, do the rest. Decisions are pure and live in the core. Begin with ``local.py``,
then ``member.py``.
"""

from __future__ import annotations

from .local import LocalCluster
from .publisher import Publisher

__all__ = ["LocalCluster", "Publisher"]
