"""Answers an inspector's questions in the hub's process, a bounded piece at a time.

It reads the registry, as ``hub.stats()`` does, and asks the hub thread for nothing: however often an
operator looks, no client waits for it. For one answer it copies a list of references, and looks at no more
than 500 sessions; who has more to see asks again. Only an order to end a session goes to the hub thread.
Threads: request threads, and those of links. Blocks: never, but for such an order. Read next: ``looks.py``.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from typing import assert_never

from ..core.commands import Expire, Kick
from ..errors import ConnectionNotFound
from ..session.recent import Counts, Happened
from ..session.recorder import Recorder, Who, opens_by_id, who_of
from ..session.session import Session
from . import looks
from .hub_runner import HubRunner
from .looks import MOST_LOOKED, Report, SessionRow, SessionsAsked, SessionsSeen
from .registry import SessionRegistry

_NUMBER = attrgetter("epoch")


def answer(runner: HubRunner, question: looks.Question) -> Report:
    """The answer. Raises: HubClosed for an order to a hub that is closed."""
    match question:
        case SessionsAsked():
            return sessions(runner.registry(), runner.recorder, question)
        case looks.NamesAsked():
            return _names(runner.registry(), question)
        case looks.LifeAsked(life):
            return _life(runner, life)
        case looks.EndedAsked():
            return _ended(runner)
        case looks.EndAsked(life, expire):
            return _end(runner, life, expire=expire)
        case _:
            assert_never(question)


# -- lists ----------------------------------------------------------------------------------


def sessions(registry: SessionRegistry, recorder: Recorder | None, asked: SessionsAsked) -> SessionsSeen:
    """The next part of the sessions that are asked for."""
    total, mark = len(registry.sessions), _mark(registry)
    begun_anew = bool(asked.after) and asked.mark != mark
    if asked.text and not asked.after and (one := registry.sessions.get(asked.text)) is not None:
        # By its whole id: at once, and also if that is cut off in the list.
        rows = (row(one, recorder),) if _is_wanted(one, asked, by_id=True) else ()
        return SessionsSeen(rows, 0, mark, 1, total)
    found = _in_order(registry, asked)
    start = 0 if begun_anew else bisect_right(found, asked.after, key=_NUMBER)
    limit = min(asked.limit, looks.MOST_ROWS)
    seen: list[SessionRow] = []
    looked = 0
    last = None
    for session in islice(found, start, start + MOST_LOOKED):
        if len(seen) == limit:
            break
        looked, last = looked + 1, session
        if _is_wanted(session, asked):
            seen.append(row(session, recorder))
    more = last is not None and start + looked < len(found)
    return SessionsSeen(
        tuple(seen), last.epoch if more and last is not None else 0, mark, looked, total, begun_anew
    )


def _mark(registry: SessionRegistry) -> str:
    """Of the process and its hub: the numbers of sessions belong to these."""
    return f"{os.getpid():x}-{id(registry):x}"


def _in_order(registry: SessionRegistry, asked: SessionsAsked) -> list[Session]:
    """Those of the room or the user, or all, by their numbers: as they are nearly in any case."""
    if asked.room is not None:
        room = registry.rooms.get(asked.room)
        found = room.members() if room is not None else []
    elif asked.user is not None:
        theirs = registry.users.get(asked.user)
        found = theirs.members() if theirs is not None else []
    else:
        found = list(registry.sessions.values())
    found.sort(key=_NUMBER)
    return found


def _is_wanted(session: Session, asked: SessionsAsked, *, by_id: bool = False) -> bool:
    if asked.state and (asked.state == "suspended") != session.is_suspended:
        return False
    if asked.room is not None and asked.room not in session.rooms:
        return False
    if asked.user is not None and session.credentials.user != asked.user:
        return False
    if not asked.text or by_id:
        return True
    # Else an id that is cut off could be found out letter by letter.
    return not opens_by_id(session.credentials) and asked.text in session.connection_id


def _names(registry: SessionRegistry, asked: looks.NamesAsked) -> looks.NamesSeen:
    rooms = list((registry.users if asked.users else registry.rooms).items())
    limit = min(asked.limit, looks.MOST_ROWS)
    seen: list[looks.NameRow] = []
    looked = 0
    for name, room in islice(rooms, asked.after, asked.after + MOST_LOOKED):
        if len(seen) == limit:
            break
        looked += 1
        if asked.text in name:
            seen.append(looks.NameRow(name, len(room)))
    behind = asked.after + looked
    return looks.NamesSeen(tuple(seen), behind if behind < len(rooms) and looked else 0, looked, len(rooms))


# -- one session ----------------------------------------------------------------------------


def row(session: Session, recorder: Recorder | None) -> SessionRow:
    """What is known of a session. Without its locks: each number may be of another moment."""
    outbox = session.outbox
    return SessionRow(
        _who(session),
        session.epoch,
        len(session.rooms),
        session.is_suspended,
        session.generation,
        outbox.used_frames,
        outbox.max_frames,
        outbox.used_bytes,
        outbox.max_bytes,
        session.serial_queue.parked()[0],
        _age(session, recorder),
    )


def _who(session: Session) -> Who:
    names = session.life, session.connection_id, session.room_id
    return who_of(*names, session.credentials, lossless=session.delayed_ack is not None)


def _age(session: Session, recorder: Recorder | None) -> float:
    record = recorder.living(session.life) if recorder is not None else None
    if recorder is None or record is None:
        return -1.0
    return max(0.0, recorder.now() - record.events.began_at())


def _life(runner: HubRunner, life: str) -> looks.LifeSeen | looks.NotSeen:
    recorder, session = runner.recorder, find(runner, life)
    window = runner.config.resume_window
    if session is not None:
        record = recorder.living(life) if recorder is not None else None
        with session.outbox.lock:
            book, held = session.outbox.ledger.copy(), session.outbox.held
            requests = len(session.client_requests), len(session.own_requests)
        return looks.LifeSeen(
            _who(session),
            row(session, recorder),
            session.rooms,
            looks.Book(
                book.accepted,
                book.acknowledged,
                book.written,
                book.dropped,
                held,
                session.outbox.held_bytes,
            ),
            Counts(session.inbound_fence.handled, book.accepted, book.dropped),
            requests,
            record.events.copy() if record is not None else (),
            record.events.forgotten if record is not None else 0,
            record is not None,
            recorder.now() if recorder is not None else 0.0,
            window,
        )
    for who, events in recorder.ended() if recorder is not None else ():
        if who.life == life and recorder is not None:
            kept = events.copy()
            counts, now = kept[-1].counts, recorder.now()
            return looks.LifeSeen(
                who, None, (who.room_id,), None, counts, (), kept, events.forgotten, True, now, window
            )
    return looks.NotSeen()


def find(runner: HubRunner, life: str) -> Session | None:
    """The session of that life; None if it is not here, or has ended."""
    sessions = runner.registry().sessions
    record = runner.recorder.living(life) if runner.recorder is not None else None
    if record is not None:
        session = sessions.get(record.connection_id)
        return session if session is not None and session.life == life else None
    # Of one that is not recorded nothing but the life is compared.
    return next((one for one in list(sessions.values()) if one.life == life), None)


def _ended(runner: HubRunner) -> looks.EndedSeen:
    recorder = runner.recorder
    if recorder is None:
        return looks.EndedSeen((), (), False, 0.0)
    rows = [looks.EndedRow(who, last_word(events.copy())) for who, events in recorder.ended()]
    return looks.EndedSeen(tuple(rows), recorder.refusals(), True, recorder.now())


def last_word(events: Sequence[Happened]) -> Happened:
    """How it ended, although its on_disconnect may have raised behind that."""
    return next((event for event in reversed(events) if event.what in looks.LAST), events[-1])


def _end(runner: HubRunner, life: str, *, expire: bool) -> looks.EndSaid:
    loop, session = runner.open_loop(), find(runner, life)
    if loop is None or session is None:
        return looks.EndSaid(False, False)
    order = (Expire if expire else Kick)(session.connection_id, life)
    try:
        ended = loop.order(order)
    except ConnectionNotFound:
        ended = 0
    return looks.EndSaid(ended > 0, connected=not ended and find(runner, life) is not None)
