"""What the command in hand has come to so far: the time at which it happens, and the effects, in order.

The machine and its parts (``sessions.py``, ``transports.py`` and others) share one plan: the order in
which they call it is the order of the effects. It knows no session and no transport, and decides nothing.
Hub thread only. Pure. Read next: ``effects.py``, ``machine.py``.
"""

from __future__ import annotations

from . import effects as e


class Plan:
    """A machine has one. ``now``: seconds of the hub's clock; ``effects``: what is to be done, in order."""

    __slots__ = ("effects", "now")

    def __init__(self) -> None:
        self.now = float("-inf")
        self.effects: list[e.Effect] = []

    def add(self, effect: e.Effect) -> None:
        """Have ``effect`` done behind all that was added before."""
        self.effects.append(effect)

    def count(self, method: str, *arguments: object) -> None:
        """Have a method of the metrics collector called."""
        self.effects.append(e.Count(method, arguments))

    def ignore(self, because: str) -> None:
        """Say by name that nothing is done, and why."""
        self.effects.append(e.Ignored(because))
