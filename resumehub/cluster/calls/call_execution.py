"""What each call of another process does in the hub's process: the methods of ``LocalCalls`` and of sessions.

``execute`` returns the result, or None if it comes later, from the thread that settles it. What is raised
becomes the result. ``prepare`` runs what is the application's, its function for histories, before the caller
enters the door. Threads: the one of the asker's link. Blocks: for the hub thread, never for a client or a
callback. Read next: ``../../server/local_calls.py``, ``call_server.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...clock import now
from ...codec import encode_frame
from ...config import history_count
from ...core.drain import Drain
from ...message import Frame, Message
from ...runtime.foreign_code import passes
from ...server.history import ForNewcomers
from ...server.hub_runner import HubRunner
from ...server.local_calls import LocalCalls
from ...server.looking import answer
from ...session import orders
from ...session.answering import put_answer
from ...session.asking import give_up
from ...session.connection import Connection
from ...session.session import Session
from . import call_bodies as b
from .call_errors import raised
from .caller import RequestUnderWay
from .remote_connection import look_at

Late = Callable[[b.Result], None]
"""Takes a result that comes later, on any thread."""

LOOKS: Final = frozenset(
    {
        b.LookCall,
        b.LookAtRoomCall,
        b.LookAtUserCall,
        b.IdsCall,
        b.CountCall,
        b.RoomsCall,
        b.StatsCall,
        b.InspectCall,
        b.UndeliveredCall,
        b.WaitClosedCall,
    }
)
"""Calls that may be done twice, and whose answers are not kept: they change nothing, or end one life."""


class CallExecution:
    """One hub's. ``execute``: the thread of a link."""

    def __init__(self, runner: HubRunner) -> None:
        self._runner = runner
        self._local = LocalCalls(runner)
        self._does: Mapping[type, Callable[[Any], None]] = {
            b.SendCall: self._send,
            b.KickCall: lambda asked: self._local.kick(asked.connection_id),
            b.KickUserCall: lambda asked: self._local.kick_user(asked.user),
            b.CloseCall: self._close,
            b.JoinCall: lambda asked: orders.join(self._session(asked), asked.room_id),
            b.LeaveCall: self._leave,
        }
        self._gives: Mapping[type, Callable[[Any], b.Result]] = {
            b.SendToUserCall: lambda asked: b.Counted(
                self._local.send_to_user(asked.user, asked.frame.frame())
            ),
            b.EndAllCall: lambda asked: b.Counted(self._local.end_all()),
            b.SetDrainCall: lambda asked: b.Counted(self._local.set_drain(Drain(asked.drain))),
            b.CutCall: lambda asked: b.Whether(self._local.cut(asked.connection_id)),
            b.AnswerCall: self._answer,
            b.UndeliveredCall: self._undelivered,
            b.LookCall: self._look,
            b.LookAtRoomCall: lambda asked: _looked(self._local.in_room(asked.room_id)),
            b.LookAtUserCall: lambda asked: _looked(self._local.of_user(asked.user)),
            b.IdsCall: lambda asked: b.Named(tuple(self._local.ids(asked.room_id, asked.limit))),
            b.CountCall: lambda asked: b.Counted(self._local.count(asked.room_id)),
            b.RoomsCall: lambda asked: b.Named(tuple(self._local.rooms())),
            b.StatsCall: lambda asked: b.StatsNow(self._local.stats()),
            b.InspectCall: lambda asked: b.Inspected(answer(self._runner, asked.question)),
        }
        self.forget()

    def forget(self) -> None:
        """This is a forked child, or the beginning: nobody waits."""
        # Each with the time at which the asker waits no longer.
        self._waits_for_end: list[tuple[Session, Late, float]] = []

    def prepare(self, asked: b.Asked) -> ForNewcomers | b.Raised | b.MarkWanted | None:
        """What ``execute`` needs of the application. Outside of the door. Blocks: as its function does."""
        option = self._runner.config.history
        if option is None or type(asked) is not b.BroadcastCall:
            return None
        if asked.marked is None and not asked.counts:
            return b.MarkWanted()
        try:
            counts = asked.counts or [history_count(option, room_id) for room_id in asked.room_ids]
            frame = (asked.marked or asked.frame).frame()
            return ForNewcomers(dict(zip(asked.room_ids, counts, strict=True)), frame)
        except BaseException as error:
            if passes(error):
                raise
            return raised(error)

    def execute(
        self, asked: b.Asked, ready: ForNewcomers | b.Raised | b.MarkWanted | None, late: Late
    ) -> b.Result | None:
        """Do it, inside the door. ``ready``: by ``prepare``. Gives the result; None if it comes ``late``."""
        if ready is not None and isinstance(ready, b.Raised | b.MarkWanted):
            return ready
        try:
            match asked:
                case b.BroadcastCall():
                    self._local.broadcast(
                        asked.room_ids,
                        asked.frame.frame(),
                        frozenset(asked.excluded),
                        (lambda: ready) if ready is not None else None,
                    )
                    return _DONE
                case b.RequestCall():
                    return self._request(asked, late)
                case b.WaitClosedCall():
                    return self._wait_closed(asked, late)
                case _ if (does := self._does.get(type(asked))) is not None:
                    does(asked)
                    return _DONE
                case _:
                    return self._gives[type(asked)](asked)
        except BaseException as error:
            if passes(error):
                raise
            return raised(error)

    def waits(self) -> int:
        """How many calls wait for the end of a session."""
        return len(self._waits_for_end)

    def look_for_ends(self) -> None:
        """Tell those who wait for a session whose on_disconnect has returned. The member's thread.

        Of a session that has left with the hub nothing is said here: the asker's process asks again, there.
        """
        if not self._waits_for_end:
            return
        waiting, self._waits_for_end = self._waits_for_end, []
        for session, late, until in waiting:
            if session.elsewhere is not None:
                continue
            if session.ended.is_set():
                late(b.Whether(True))
            elif now() >= until:
                late(b.Whether(False))
            else:
                self._waits_for_end.append((session, late, until))

    def drop(self, requests: Iterable[RequestUnderWay]) -> None:
        """Nobody waits for these answers any more: nothing is left of the requests. Never blocks."""
        for request in requests:
            session = self._local.session_or_ending(request.connection_id, request.life)
            if session is not None:  # that of a request which release 0.2.0 has executed is not known
                give_up(session, request.request_id)

    # -- one session ------------------------------------------------------------------------

    def _session(self, asked: Any) -> Session:
        return self._local.session_of(asked.connection_id, asked.life)

    def _session_or_ending(self, asked: Any) -> Session | None:
        return self._local.session_or_ending(asked.connection_id, asked.life)

    def _send(self, asked: b.SendCall) -> None:
        if asked.life:
            self._session(asked).send_frame(asked.frame.frame())
        else:
            self._local.send(asked.connection_id, asked.frame.frame())

    def _close(self, asked: b.CloseCall) -> None:
        session = self._session_or_ending(asked)
        if session is not None:
            orders.close(session)

    def _leave(self, asked: b.LeaveCall) -> None:
        session = self._session_or_ending(asked)
        if session is not None:
            orders.leave(session, asked.room_id)

    def _answer(self, asked: b.AnswerCall) -> b.Result:
        frame = asked.frame.frame(kept=True)
        session = self._session(asked)
        return b.Whether(put_answer(session, asked.request_id, frame, asked.beyond, asked.any_size))

    def _undelivered(self, asked: b.UndeliveredCall) -> b.Result:
        session = self._session_or_ending(asked)
        frames = session.undelivered_frames() if session is not None else []
        return b.Frames(tuple(b.FrameValue.of(frame) for frame in frames))

    def _look(self, asked: b.LookCall) -> b.Result:
        connection = self._local.get(asked.connection_id)
        if asked.life and (connection is None or connection.life != asked.life):
            ending = self._runner.registry().ending.get(asked.life)
            connection = ending.connection if ending is not None else None
        return _looked([connection] if connection is not None else [])

    def _wait_closed(self, asked: b.WaitClosedCall, late: Late) -> b.Result | None:
        session = self._session_or_ending(asked)
        if session is None or session.ended.is_set():
            return b.Whether(True)
        until = math.inf if asked.timeout is None else now() + asked.timeout
        self._waits_for_end.append((session, late, until))
        return None

    def _request(self, asked: b.RequestCall, late: Late) -> b.Result | None:
        session = self._session(asked)
        services = session.services

        def told(outcome: Callable[[], Message]) -> None:
            try:
                answer = Message("", outcome().payload, re=asked.request_id)
                frame = encode_frame(services.codec, answer, correlated=True)
                result: b.Result = b.Frames((b.FrameValue.of(frame),))
            except BaseException as error:
                if passes(error):
                    raise
                result = raised(error)
            late(result)

        frame: Frame = asked.frame.frame(kept=True)
        services.askers.ask_for(services, session, asked.request_id, asked.event, frame, asked.timeout, told)
        return None


def _looked(found: list[Connection]) -> b.Looked:
    return b.Looked(tuple(look_at(one) for one in found))


_DONE: Final = b.Done()
