"""Answers of clients for threads that asked before the hub moved, and whose sessions are in the next process.

Such a thread waits here, in the old process (``session/asking.py``); its time runs here, too. The answer
comes to the new process, which sends it over the link of the move (``AnswerArrived``). If that link ends,
what is open is in doubt. Threads: the link's, and that which has moved the hub. Nothing here blocks. Read
next: ``move_source.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    """Those of one move. ``done``: called when none is open any more."""

    def __init__(self, runtime: Runtime, loop: HubLoop, done: Callable[[], None]) -> None:
        self._lock = runtime.lock("the late answers")
        self._loop = loop
        self._done = done
        self._sessions: dict[str, Session] = {}

    @property
    def waits(self) -> bool:
        """Whether a thread here waits for a client of a session that has moved."""
        return bool(self._sessions)

    def expect(self, sessions: Iterable[Session]) -> None:
        """These sessions leave now."""
        with self._lock:
            self._sessions = {session.life: session for session in sessions if len(session.own_requests)}

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
        if not len(session.own_requests):
            with self._lock:
                self._sessions.pop(message.life, None)
                done = not self._sessions
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
