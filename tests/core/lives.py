"""Names for the lives of sessions, so that a test can say which one a resume is for before it has begun."""

from __future__ import annotations

from resumehub.core.machine import Machine


def life_of(epoch: int) -> str:
    """The life of the session that is, or will be, the hub's ``epoch``-th."""
    return f"life {epoch}"


def epoch_of(life: str | None) -> int | None:
    """The reverse; None for none."""
    return int(life.removeprefix("life ")) if life else None


def next_life(machine: Machine) -> str:
    """The life of the session that begins next, if one does."""
    return life_of(machine._session_table._last_epoch + 1)
