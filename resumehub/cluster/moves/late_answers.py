"""Answers of clients for threads that asked before the hub moved, and whose sessions are in the next process.

Such a thread waits here, in the old process (``session/asking.py``); its time runs here, too. The answer
comes to the new process, which sends it over the link of the move (``AnswerArrived``). A thread that waits no
longer is told there (``AnswerUnwanted``), so that nothing is left of its request. If that link ends, what is
open is in doubt. Threads: the link's, that which has moved the hub, those that wait and the hub's. Nothing
here blocks. Read next: ``move_source.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ...codec import Undecodable, decode_message
from ...errors import ConnectionClosed, HubClosed
from ...runtime.base import Runtime
from ...server.hub_loop import HubLoop
from ...session.asking import take_answer
from ...session.session import Session
from .move_messages import AnswerArrived

#: Why there is no answer: what the thread gets; None: RequestInDoubt.
_ENDED = {"closed": ConnectionClosed, "hub closed": HubClosed}


class LateAnswers:
    """Those of one move. ``done``: called when none is open any more. ``give_up``: tells the new process.

    ``give_up``: gets a session's life and the request's id. Never blocks.
    """

    def __init__(
        self, runtime: Runtime, loop: HubLoop, done: Callable[[], None], give_up: Callable[[str, str], None]
    ) -> None:
        self._lock = runtime.lock("the late answers")
        self._loop = loop
        self._done = done
        self._give_up = give_up
        self._sessions: dict[str, Session] = {}

    @property
    def waits(self) -> bool:
        """Whether a thread here waits for a client of a session that has moved."""
        return bool(self._sessions)

    def expect(self, sessions: Iterable[Session]) -> None:
        """These sessions leave now; everything is frozen."""
        with self._lock:
            self._sessions = {session.life: session for session in sessions if len(session.own_requests)}
            for session in self._sessions.values():
                for request_id, asked in session.own_requests.all():
                    asked.given_up = partial(self._given_up, session, request_id)

    def arrived(self, message: AnswerArrived) -> None:
        """An answer, or why there is none."""
        session = self._sessions.get(message.life)
        if session is None:
            return
        if message.ended:
            self._end(session, message.request, message.ended)
        else:
            data = message.answer if message.is_binary else message.answer.decode("utf-8", "replace")
            try:
                take_answer(self._loop.services, session, decode_message(self._loop.services.codec, data))
            except Undecodable:
                self._end(session, message.request, "doubt")
        self._settled(session)

    def _given_up(self, session: Session, request_id: str) -> None:
        """Nobody waits for this answer any more."""
        self._give_up(session.life, request_id)
        self._settled(session)

    def _settled(self, session: Session) -> None:
        if len(session.own_requests):
            return
        with self._lock:
            known = self._sessions.pop(session.life, None) is not None
            done = known and not self._sessions
        if done:
            self._done()

    def end_all(self) -> None:
        """The link is gone: whatever is open is in doubt."""
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            with session.outbox.lock:
                waiting = session.own_requests.settle_all()
            for asked in waiting:
                asked.ended(None)

    @staticmethod
    def _end(session: Session, request_id: str, why: str) -> None:
        with session.outbox.lock:
            asked = session.own_requests.settle(request_id)
        if asked is not None:
            error = _ENDED.get(why)
            asked.ended(error(session.connection_id) if error is not None else None)
