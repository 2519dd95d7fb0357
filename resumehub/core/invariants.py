"""What must hold of the machine after every step, as sentences that can be checked.

``broken(machine)`` gives the sentences that do not hold. Tests and explorers call it after every command, on
the thread that plays the hub; a running hub does not, since it looks at every session. Pure. Read next:
``machine.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .deadlines import OF_TRANSPORTS, DeadlineKind
from .machine import Machine
from .records import Phase
from .resume import can_come_back
from .states import State


def broken(machine: Machine) -> list[str]:
    """Every invariant that does not hold, as a sentence with both values; empty when all is well."""
    return [*_sessions(machine), *_transports(machine), *_registry(machine)]


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
        if grace is not None and not can_come_back(session.credentials):
            yield f"{name} waits for a client, and none can come back to it"
        if grace is not None and grace < machine.now:
            yield f"{name} should have expired at {grace}, now is {machine.now}"
        transport = machine.transports.get(session.transport) if session.transport is not None else None
        if session.transport is not None and (transport is None or transport.phase is not Phase.LIVE):
            yield f"{name} is on transport {session.transport}, which is {transport and transport.phase.name}"
        if transport is not None and (transport.epoch, transport.generation) != (
            session.epoch,
            session.generation,
        ):
            yield (
                f"{name} is at generation {session.generation}, its transport carries "
                f"epoch {transport.epoch} generation {transport.generation}"
            )


def _transports(machine: Machine) -> Iterator[str]:
    for transport in machine.transports.values():
        name = f"transport {transport.number}"
        armed = {kind for kind in OF_TRANSPORTS if _armed(machine, kind, transport.number)}
        if transport.phase is Phase.LIVE and machine.session_of(transport.number) is None:
            yield f"{name} is LIVE but carries no session"
        ends = {DeadlineKind.CLOSE, DeadlineKind.ANSWER, DeadlineKind.REFUSAL}
        if transport.phase is Phase.CLOSING and not armed & ends:
            yield f"{name} is CLOSING with no deadline to end it"
        if transport.phase is Phase.CLOSING and DeadlineKind.PAUSE in armed:
            yield f"{name} is CLOSING, and is not read until its client may send again"
        if transport.phase is Phase.ABORTED and armed:
            yield f"{name} is ABORTED but has deadlines {sorted(kind.name for kind in armed)}"


def _registry(machine: Machine) -> Iterator[str]:
    by_epoch = {session.epoch: session for session in machine.sessions.values()}
    if by_epoch != machine.epochs:
        yield f"the tables disagree: ids hold epochs {sorted(by_epoch)}, epochs hold {sorted(machine.epochs)}"
    for session in machine.sessions.values():
        if session.rooms[0] != session.room_id or len(set(session.rooms)) != len(session.rooms):
            yield f"session {session.connection_id!r} of room {session.room_id!r} is in {session.rooms}"
    rooms = Counter(room for session in machine.sessions.values() for room in session.rooms)
    if dict(rooms) != machine.rooms:
        yield f"the rooms hold {dict(rooms)}, but are counted as {machine.rooms}"
    suspended = sum(session.state is State.SUSPENDED for session in machine.sessions.values())
    if suspended != machine.suspended:
        yield f"{suspended} sessions are suspended, and {machine.suspended} can make room for a new one"
    if machine.finished and (machine.sessions or machine.transports):
        left = f"{len(machine.sessions)} sessions and {len(machine.transports)} transports"
        yield f"the hub has finished with {left}"


def _armed(machine: Machine, kind: DeadlineKind, owner: int) -> bool:
    return machine.deadlines.armed_at(kind, owner) is not None
