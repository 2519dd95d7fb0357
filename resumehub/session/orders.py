"""What a thread of the application wants of a session and the hub thread decides; and a request to a client.

``Connection`` calls this, on any thread. Where the hub is about to move, the thread waits, and the whole call
is made again here or in the other process (``elsewhere.py``). None of these does harm when it is done twice.
Read next: ``elsewhere.py``, ``asking.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import validate_identifier
from ..core.commands import Close, JoinRoom, LeaveRoom
from ..errors import ConnectionClosed
from ..message import Message
from .elsewhere import SealedError, SeenElsewhere, wherever

if TYPE_CHECKING:
    from .session import Session


def request(session: Session, event: str, payload: Any, timeout: float | None) -> Any:
    """See ``Connection.request``."""
    return wherever(
        lambda: session.services.askers.ask(session.services, session, event, payload, timeout),
        lambda elsewhere: elsewhere.request(session.connection_id, session.life, event, payload, timeout),
    )


def close(session: Session) -> None:
    """See ``Connection.close``. Sends are refused at once, before the hub thread handles the command."""
    wherever(lambda: _close(session), lambda elsewhere: elsewhere.close(session.connection_id, session.life))


def join(session: Session, room_id: str) -> None:
    """See ``Connection.join``."""
    validate_identifier("room_id", room_id)
    wherever(
        lambda: _join(session, room_id),
        lambda elsewhere: elsewhere.join(session.connection_id, session.life, room_id),
    )


def leave(session: Session, room_id: str) -> None:
    """See ``Connection.leave``."""
    validate_identifier("room_id", room_id)
    if room_id == session.room_id:
        raise ValueError(
            f"{room_id!r} is the home room of the session {session.connection_id!r}, which it has for "
            "life; to end the session, close it"
        )
    wherever(
        lambda: _leave(session, room_id),
        lambda elsewhere: elsewhere.leave(session.connection_id, session.life, room_id),
    )


def wait_closed(session: Session, timeout: float | None) -> bool:
    """See ``Connection.wait_closed``."""
    ended = session.ended.wait(timeout)
    elsewhere = session.elsewhere
    if ended and elsewhere is not None:  # it has not ended, but left
        return elsewhere.wait_closed(session.connection_id, session.life, timeout)
    return ended


# -- looking ----------------------------------------------------------------------------


def rooms(session: Session) -> tuple[str, ...]:
    """See ``Connection.rooms``."""
    seen = _look(session)
    return seen.rooms if isinstance(seen, SeenElsewhere) else session.rooms


def is_suspended(session: Session) -> bool:
    """See ``Connection.suspended``."""
    seen = _look(session)
    return seen.suspended if isinstance(seen, SeenElsewhere) else seen and session.is_suspended


def is_closed(session: Session) -> bool:
    """See ``Connection.closed``."""
    seen = _look(session)
    return session.is_over if seen is True else not seen


def undelivered(session: Session) -> list[Message]:
    """See ``Connection.undelivered``."""
    elsewhere = session.elsewhere
    if elsewhere is None:
        return session.undelivered()
    return session.decoded(elsewhere.undelivered(session.connection_id, session.life))


def _look(session: Session) -> SeenElsewhere | bool:
    """Where it has left with the whole hub: how it is now, False if it has ended. True: it is here."""
    elsewhere = session.elsewhere
    if elsewhere is None:
        return True
    return elsewhere.look(session.connection_id, session.life) or False


# -- steps of the above -----------------------------------------------------------------


def _close(session: Session) -> None:
    with session.outbox.lock:
        if session.seal is not None:
            raise SealedError(session.seal)
        if session.outbox.refusal is None:
            session.outbox.refusal = ConnectionClosed(session.connection_id)
    _have_done(session, Close(session.epoch))


def _join(session: Session, room_id: str) -> None:
    if session.seal is not None or (room_id not in session.rooms and not session.is_over):
        _have_done(session, JoinRoom(session.epoch, session.connection_id, room_id))
    if session.is_over:  # meanwhile
        raise ConnectionClosed(session.connection_id)


def _leave(session: Session, room_id: str) -> None:
    if session.seal is not None or room_id in session.rooms:
        _have_done(session, LeaveRoom(session.epoch, room_id))


def _have_done(session: Session, command: Close | JoinRoom | LeaveRoom) -> None:
    """Have the hub thread do it. Raises: SealedError, where it comes too late for a hub that moves."""
    if (seal := session.seal) is not None:
        raise SealedError(seal)
    try:
        session.services.commands.put_and_wait(command)
    except (ConnectionClosed, ValueError):
        if session.seal is None:
            raise
    if (seal := session.seal) is not None:
        raise SealedError(seal)
