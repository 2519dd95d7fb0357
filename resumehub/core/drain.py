"""Whether a hub is drained: it keeps what is there, and takes no new session.

For a process, or a host, that is to end or to rest soon. ``Capacity`` asks; the request side looks at a copy
of the value, so that most newcomers get their answer before an upgrade. Pure values. Read next:
``capacity.py``.
"""

from __future__ import annotations

from enum import Enum

from .states import Outcome


class Drain(Enum):
    """Who is refused. The value is a word for people and for ``Stats.draining``."""

    NONE = ""
    """Nobody: the hub is not drained."""
    NEWCOMERS = "newcomers"
    """A client whose session would begin now. One that comes back to its session is let in."""
    ALL = "all"
    """A client that comes back, too: its session waits for it, or ends with its window."""

    def refuses(self, outcome: Outcome) -> bool:
        """Whether a client is refused for whom the table says ``outcome``."""
        begins = outcome in (Outcome.OPENED, Outcome.DISPLACED)
        return self is Drain.ALL or (self is Drain.NEWCOMERS and begins)
