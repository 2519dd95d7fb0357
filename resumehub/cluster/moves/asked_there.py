"""The requests of clients' sessions that came in a move, for which threads of the process before still wait.

In a session's table of requests ``_AskedThere`` stands in the place of such a thread: the answer, or why
there is none, goes back over the link of the move. When the thread waits no longer, or its process has ended,
the request is taken out. Threads: any; nothing here blocks. Read next: ``late_answers.py``, the other end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from ...codec import Codec, encode_frame
from ...errors import HubClosed, LinkBroken
from ...message import Frame, Message, Opcode
from ...session.session import Asked, Session
from ..link import Link
from .move_messages import AnswerArrived


class AskedThere:
    """Those of one move, which has come over ``link``."""

    def __init__(self, move: str, link: Link, codec: Codec) -> None:
        self.move = move
        self.link = link
        self._codec = codec
        self._open: dict[tuple[str, str], _AskedThere] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def ask(self, session: Session, request_id: str) -> Asked:
        """What is told of the answer to this request."""
        asked = self._open[session.life, request_id] = _AskedThere(self, session, request_id)
        return asked

    def unwanted(self, life: str, request_id: str) -> None:
        """Nobody waits for this answer any more."""
        asked = self._open.pop((life, request_id), None)
        if asked is not None:
            asked.give_up()

    def forget(self) -> None:
        """The process before has ended, or the move has come to nothing."""
        for life, request_id in list(self._open):
            self.unwanted(life, request_id)

    def settled(self, session: Session, request_id: str, frame: Frame | None, ended: str) -> None:
        """The client has answered, or its session has ended."""
        self._open.pop((session.life, request_id), None)
        answer = frame.payload if frame is not None else b""
        is_binary = frame is not None and frame.opcode is Opcode.BINARY
        with contextlib.suppress(LinkBroken):  # its thread reads it to its end, and says so
            self.link.send(AnswerArrived(self.move, session.life, request_id, answer, is_binary, ended))

    def encoded(self, message: Message) -> Frame | None:
        """As the codec writes it; None if it can't."""
        try:
            return encode_frame(self._codec, message, correlated=True)
        except (TypeError, ValueError):
            return None


class _AskedThere:
    """A request to a client for which a thread of another process waits (``session.Asked``)."""

    frame = None

    def __init__(self, others: AskedThere, session: Session, request_id: str) -> None:
        self._others = others
        self._session = session
        self._id = request_id
        self.generation = session.generation
        self.given_up: Callable[[], None] | None = None

    def answered(self, message: Message) -> None:
        frame = self._others.encoded(message)
        self._others.settled(self._session, self._id, frame, "doubt" if frame is None else "")

    def ended(self, error: Exception | None) -> None:
        why = "doubt" if error is None else "hub closed" if isinstance(error, HubClosed) else "closed"
        self._others.settled(self._session, self._id, None, why)

    def give_up(self) -> None:
        session = self._session
        with session.outbox.lock:
            was_open = session.own_requests.settle(self._id) is self
        if was_open and self.given_up is not None:
            self.given_up()  # the session has gone on to one more process
