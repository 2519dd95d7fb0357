"""A session in two parts: what goes ahead when a hub moves, while everything is alive, and the rest.

What goes ahead (``AheadState``) rarely changes: names, rooms, credentials, bounds. The other process builds
the session's objects of it. Once everything is frozen, ``rest_of_all`` writes down the parts that change all
the time, and ``whole`` makes a ``SessionState`` of both; where something of the first part has changed
meanwhile, it is sent again. Pure, any thread. Read next: ``session_state.py``, ``columns.py``,
``../cluster/moves/move_ahead.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, get_type_hints

from ..core.moving import DecisionState
from ..core.resume import Credentials
from ..errors import SessionStateError
from ..outgoing.items import Retention
from ..outgoing.outbox_state import OutboxState
from .columns import dump_all, dump_parts, load_all, load_parts
from .plain_values import PlainValueError
from .session import Session
from .session_state import VERSION, Limits, SessionState


@dataclass(frozen=True, slots=True)
class AheadState:
    """See the module. The fields are those of ``SessionState``, its decisions and its outbox."""

    life: str
    connection_id: str
    room_id: str
    rooms: tuple[str, ...]
    credentials: Credentials
    generation: int
    limits: Limits
    retention: Retention
    max_frames: int
    max_bytes: int


def _parts_of(kind: Any, before: str = "") -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {before + field.name: hints[field.name] for field in dataclasses.fields(kind)}


_INNER: Final[dict[str, Any]] = {"decisions": DecisionState, "outbox": OutboxState}
# Those fields of a SessionState whose fields are parts of their own.

_ALL: Final = {
    path: hint
    for name, kind in _parts_of(SessionState).items()
    for path, hint in (_parts_of(kind, f"{name}.") if name in _INNER else {name: kind}).items()
}
_AHEAD: Final = {
    path: field for path in _ALL for field in [path.rpartition(".")[2]] if field in _parts_of(AheadState)
}
_REST: Final = {path: hint for path, hint in _ALL.items() if path not in _AHEAD}

_ahead_parts: Final = attrgetter(*_AHEAD)
_ahead_fields: Final = attrgetter(*_AHEAD.values())


def ahead_of(state: SessionState) -> AheadState:
    """The first part of a session that is written down."""
    return AheadState(**dict(zip(_AHEAD.values(), _ahead_parts(state), strict=True)))


def ahead_of_living(session: Session) -> AheadState:
    """The same of one that lives, and may change meanwhile: ``is_as_before`` tells."""
    return AheadState(
        session.life,
        session.connection_id,
        session.room_id,
        session.rooms,
        session.credentials,
        session.generation,
        session.limits,
        session.outbox.keep,
        session.outbox.max_frames,
        session.outbox.max_bytes,
    )


def is_as_before(ahead: AheadState, state: SessionState) -> bool:
    """Whether the first part of ``state`` is still what went ahead."""
    same: bool = _ahead_fields(ahead) == _ahead_parts(state)
    return same


def encode_ahead(states: Sequence[AheadState]) -> bytes:
    """For a process of the same release. Raises: PlainValueError."""
    return VERSION.to_bytes(2) + dump_all(AheadState, states)


def decode_ahead(data: bytes) -> list[AheadState]:
    """What ``encode_ahead`` wrote. Raises: SessionStateError."""
    try:
        return load_all(AheadState, _of_this_version(data))
    except (PlainValueError, ValueError, TypeError) as error:
        raise SessionStateError(f"what went ahead of some sessions is damaged: {error}") from None


def rest_of_all(states: Sequence[SessionState]) -> bytes:
    """The second parts. Raises: PlainValueError when the data of one is not JSON (it was checked before)."""
    return VERSION.to_bytes(2) + dump_parts(_REST, states)


def whole(aheads: Sequence[AheadState], rests: bytes) -> list[SessionState]:
    """Sessions of their first parts and what ``rest_of_all`` wrote; each is still to be checked.

    Raises: SessionStateError.
    """
    try:
        columns = load_parts(_REST, _of_this_version(rests))
        for path, field in _AHEAD.items():
            columns[path] = list(map(attrgetter(field), aheads))
        for name, kind in _INNER.items():
            columns[name] = list(_rows(kind, columns, f"{name}."))
        return list(_rows(SessionState, columns))
    except (PlainValueError, ValueError, TypeError) as error:
        raise SessionStateError(f"the state of some sessions is damaged: {error}") from None


def _rows(kind: Any, columns: dict[str, list[Any]], before: str = "") -> list[Any]:
    wanted = [columns[before + field.name] for field in dataclasses.fields(kind)]
    if len(set(map(len, wanted))) != 1:
        raise PlainValueError("the two parts are of different numbers of sessions")
    return list(map(kind, *wanted))


def _of_this_version(data: bytes) -> bytes:
    version = int.from_bytes(data[:2])
    if version != VERSION:
        raise SessionStateError(f"sessions of another release (version {version}) came")
    return data[2:]
