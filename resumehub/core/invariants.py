"""What must hold of the machine after every step, as sentences that can be checked.

``broken(machine)`` gives the sentences that do not hold. Tests and explorers call it after
every command; it looks at everything, so a hub with many sessions does not. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .deadlines import DeadlineKind
from .machine import Machine
from .session import Phase
from .states import State


def broken(machine: Machine) -> list[str]:
    """Every invariant that does not hold, as a sentence with both values; empty when all is well."""
    return [*_sessions(machine), *_carriers(machine), *_tables(machine)]


def _sessions(machine: Machine) -> Iterator[str]:
    for session in machine.sessions.values():
        name = f"session {session.connection_id!r} (epoch {session.epoch})"
        grace = machine.deadlines.armed_at(DeadlineKind.GRACE, session.epoch)
        if session.state is State.CLOSED:
            yield f"{name} is CLOSED but still in the tables"
        if (session.state is State.CONNECTED) != (session.transport is not None):
            yield f"{name} is {session.state.name} with transport {session.transport}"
        if (session.state is State.SUSPENDED) != (grace is not None):
            yield f"{name} is {session.state.name} with its grace deadline at {grace}"
        if grace is not None and grace < machine.now:
            yield f"{name} should have expired at {grace}, now is {machine.now}"
        carrier = machine.carriers.get(session.transport) if session.transport is not None else None
        if session.transport is not None and (carrier is None or carrier.phase is not Phase.LIVE):
            yield f"{name} is on transport {session.transport}, which is {carrier and carrier.phase.name}"
        if carrier is not None and (carrier.epoch, carrier.generation) != (session.epoch, session.generation):
            yield (
                f"{name} is at generation {session.generation}, its transport carries "
                f"epoch {carrier.epoch} generation {carrier.generation}"
            )


def _carriers(machine: Machine) -> Iterator[str]:
    for carrier in machine.carriers.values():
        name = f"transport {carrier.number}"
        armed = {
            kind
            for kind in DeadlineKind
            if kind is not DeadlineKind.GRACE and _armed(machine, kind, carrier.number)
        }
        if carrier.phase is Phase.LIVE and machine.session_of(carrier.number) is None:
            yield f"{name} is LIVE but carries no session"
        if carrier.phase is Phase.CLOSING and not armed & {DeadlineKind.CLOSE, DeadlineKind.ANSWER}:
            yield f"{name} is CLOSING with no deadline to end it"
        if carrier.phase is Phase.ABORTED and armed:
            yield f"{name} is ABORTED but has deadlines {sorted(kind.name for kind in armed)}"


def _tables(machine: Machine) -> Iterator[str]:
    by_epoch = {session.epoch: session for session in machine.sessions.values()}
    if by_epoch != machine.epochs:
        yield f"the tables disagree: ids hold epochs {sorted(by_epoch)}, epochs hold {sorted(machine.epochs)}"
    rooms = Counter(session.room_id for session in machine.sessions.values())
    if dict(rooms) != machine.rooms:
        yield f"the rooms hold {dict(rooms)}, but are counted as {machine.rooms}"
    if machine.finished and (machine.sessions or machine.carriers):
        left = f"{len(machine.sessions)} sessions and {len(machine.carriers)} transports"
        yield f"the hub has finished with {left}"


def _armed(machine: Machine, kind: DeadlineKind, owner: int) -> bool:
    return machine.deadlines.armed_at(kind, owner) is not None
