"""The calls of ``Hub`` and of connections in a process of a cluster: made here, or sent to where the hub is.

A call enters the door first (``../door.py``), so it is made wholly before a move of the hub or wholly behind
it. One that finds the hub in another process is sent there; one that learns that the hub has come here
meanwhile is made again, here. A process that takes no part in the cluster has a line of its own. Any thread.
Read next: ``remote_calls.py``, ``call_client.py``, ``../../server/local_calls.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol, TypeVar

from ...clock import now
from ...codec import decode_frames, encode_frame
from ...core.drain import Drain
from ...errors import HubUnavailable, ResumeHubError
from ...message import Frame, Message
from ...runtime.foreign_code import Log
from ...server.history import ForNewcomers
from ...server.hub_runner import HubRunner
from ...server.local_calls import LocalCalls
from ...session import orders
from ...session.answering import put_answer
from ...session.connection import Connection
from ...session.elsewhere import SeenElsewhere
from ...session.session import Session
from ...stats import Stats
from ..door import Door
from ..local import LocalCluster
from ..member_parts import Place
from .call_bodies import ConnectionLook, SettleCall
from .call_client import CallClient, CalledHubIsHere
from .call_line import CallLine, NoSessions
from .call_server import CallServer
from .remote_calls import RemoteCalls
from .remote_connection import look_at

log = Log(__name__)

ResultT = TypeVar("ResultT")

_LOOK_AGAIN = 0.25
"""Seconds between two looks whether this process's hub has closed, which nobody tells those who call it."""


class _Elsewhere(Enum):
    """What is given instead of a result."""

    IT_IS = "the hub is in another process"


class CallingMember(Protocol):
    """What calls need of a member. ``started``: whether this process takes part."""

    runner: HubRunner
    door: Door
    cluster: LocalCluster
    process: str

    @property
    def started(self) -> bool: ...

    def place(self, timeout: float | None = None) -> Place: ...

    def wait_while_at(self, place: Place, timeout: float) -> None: ...


class MemberPlaces:
    """Where a member's calls go: to its hub, or over a line, as long as it takes no part."""

    def __init__(self, member: CallingMember, line: CallLine) -> None:
        self._member = member
        self._line = line

    @property
    def process(self) -> str:
        """Who calls: the same over a line and as a member, so that no call is done twice."""
        return self._member.process

    def place(self, timeout: float | None = None) -> Place:
        """Raises: NoSessions; HubUnavailable; ClusterError."""
        if self._member.started:
            return self._member.place(timeout)
        return self._line.place(timeout)


class MemberCalls:
    """``Calls`` of a process of a cluster. It is built with the member, and starts nothing.

    ``server``, ``client``: the two ends of calls, parts of the member. ``sessions``: reaches sessions by id
    and life, for handles (``Elsewhere``).
    """

    def __init__(self, member: CallingMember) -> None:
        runner = member.runner
        self._member = member
        self._timeout = member.cluster.timeout
        self._local = LocalCalls(runner)
        self.server = CallServer(runner, lambda: member.door, lambda: member.process, self._settle)
        self.line = CallLine(member.cluster, runner.runtime, lambda: member.process)
        places = MemberPlaces(member, self.line)
        self.client = CallClient(runner.runtime, places, self._timeout, self.server)
        self.line.serve(self.client.handlers, self.client)
        self._remote = RemoteCalls(self.client, runner.codec, lambda: self.sessions)
        self.sessions = SessionsAnywhere(self, runner, self._local, self._remote)

    def _settle(self, asked: SettleCall) -> None:
        """An answer has come to this process, which has held the hub, and its asker waits elsewhere."""
        try:
            self._uncounted(lambda: self.server.settle(asked), lambda: self._remote.settle(asked))
        except ResumeHubError as error:
            log.warning("an answer for %s is lost: %s", self.server.name_of(asked.process), error)

    def anywhere(self, here: Callable[[], ResultT], there: Callable[[], ResultT]) -> ResultT:
        """Call ``here``, inside the door, or ``there``. Raises: what they raise; HubUnavailable.

        The collector is told of those that go ``there``.
        """
        made = self._try_here(here)
        if not isinstance(made, _Elsewhere):
            return made
        runner = self._member.runner
        began, answered = now(), True
        runner.count("call_began")
        try:
            return self._try_there(here, there)
        except HubUnavailable:
            answered = False
            raise
        finally:
            runner.count("call_ended", now() - began, answered)

    def _uncounted(self, here: Callable[[], ResultT], there: Callable[[], ResultT]) -> ResultT:
        made = self._try_here(here)
        return self._try_there(here, there) if isinstance(made, _Elsewhere) else made

    def _try_here(self, here: Callable[[], ResultT]) -> ResultT | _Elsewhere:
        """Call ``here``, if the hub is in this process, or has closed in it."""
        if self._member.runner.closed:
            return here()  # which says so
        door = self._member.door
        if not door.enter():
            return _Elsewhere.IT_IS
        try:
            return here()
        finally:
            door.leave()

    def _try_there(self, here: Callable[[], ResultT], there: Callable[[], ResultT]) -> ResultT:
        """Call ``there``, until it is known that the hub has come here: then call ``here``."""
        seen = None
        give_up = 0.0
        while True:
            try:
                return there()
            except NoSessions:
                return here()  # no hub runs in this process: it answers as an empty one
            except CalledHubIsHere as found:
                give_up = give_up or now() + self._timeout
                if (left := give_up - now()) <= 0:
                    raise HubUnavailable(False, "it is leaving this process") from None
                # The door opens before the hub is said to be here: either it is open by now, or, if it was
                # not either when we looked again, the hub has left, and will be said to be elsewhere.
                if found.place is seen:
                    self._member.wait_while_at(found.place, min(left, _LOOK_AGAIN))
                seen = found.place
            made = self._try_here(here)
            if not isinstance(made, _Elsewhere):
                return made

    # -- Calls ------------------------------------------------------------------------------

    def send(self, connection_id: str, frame: Frame) -> None:
        """See ``Calls``."""
        self.anywhere(
            lambda: self._local.send(connection_id, frame), lambda: self._remote.send(connection_id, frame)
        )

    def broadcast(
        self,
        room_ids: Sequence[str],
        frame: Frame,
        excluded: frozenset[str],
        newcomers: Callable[[], ForNewcomers] | None = None,
    ) -> None:
        """See ``Calls``."""
        kept = newcomers() if newcomers is not None else None  # the application's code: outside of the door
        again = (lambda: kept) if kept is not None else None
        self.anywhere(
            lambda: self._local.broadcast(room_ids, frame, excluded, again),
            lambda: self._remote.broadcast(room_ids, frame, excluded, again),
        )

    def send_to_user(self, user: str, frame: Frame) -> int:
        """See ``Calls``."""
        return self.anywhere(
            lambda: self._local.send_to_user(user, frame), lambda: self._remote.send_to_user(user, frame)
        )

    def kick(self, connection_id: str) -> None:
        """See ``Calls``."""
        self.anywhere(lambda: self._local.kick(connection_id), lambda: self._remote.kick(connection_id))

    def kick_user(self, user: str) -> None:
        """See ``Calls``."""
        self.anywhere(lambda: self._local.kick_user(user), lambda: self._remote.kick_user(user))

    def end_all(self) -> int:
        """See ``Calls``."""
        return self.anywhere(self._local.end_all, self._remote.end_all)

    def set_drain(self, drain: Drain) -> int:
        """See ``Calls``."""
        return self.anywhere(lambda: self._local.set_drain(drain), lambda: self._remote.set_drain(drain))

    def cut(self, connection_id: str) -> bool:
        """See ``Calls``."""
        return self.anywhere(lambda: self._local.cut(connection_id), lambda: self._remote.cut(connection_id))

    def get(self, connection_id: str) -> Connection | None:
        """See ``Calls``. A ``RemoteConnection`` where the hub is in another process."""
        return self.anywhere(lambda: self._local.get(connection_id), lambda: self._remote.get(connection_id))

    def in_room(self, room_id: str) -> list[Connection]:
        """See ``Calls``."""
        return self.anywhere(lambda: self._local.in_room(room_id), lambda: self._remote.in_room(room_id))

    def of_user(self, user: str) -> list[Connection]:
        """See ``Calls``."""
        return self.anywhere(lambda: self._local.of_user(user), lambda: self._remote.of_user(user))

    def ids(self, room_id: str, limit: int) -> list[str]:
        """See ``Calls``."""
        return self.anywhere(
            lambda: self._local.ids(room_id, limit), lambda: self._remote.ids(room_id, limit)
        )

    def count(self, room_id: str) -> int:
        """See ``Calls``."""
        return self.anywhere(lambda: self._local.count(room_id), lambda: self._remote.count(room_id))

    def rooms(self) -> list[str]:
        """See ``Calls``."""
        return self.anywhere(self._local.rooms, self._remote.rooms)

    def stats(self) -> Stats:
        """See ``Calls``. Those of the hub, wherever it is."""
        return self.anywhere(self._local.stats, self._remote.stats)


class SessionsAnywhere:
    """Sessions by id and life, wherever their hub is. ``Elsewhere``, and what a ``RemoteConnection`` calls.

    Each session is looked up inside the door; what is wanted of it is then done outside, since it knows
    itself how to go on behind a move (``session/orders.py``).
    """

    def __init__(self, calls: MemberCalls, runner: HubRunner, local: LocalCalls, remote: RemoteCalls) -> None:
        self._calls = calls
        self._runner = runner
        self._local = local
        self._remote = remote

    def _do(
        self,
        connection_id: str,
        life: str,
        here: Callable[[Session], ResultT],
        there: Callable[[], ResultT],
        ended: Callable[[], ResultT] | None = None,
    ) -> ResultT:
        """``here`` with the session, or ``there``. ``ended``: gives the result where it has ended."""

        def find() -> Callable[[], ResultT]:
            if ended is None:
                session = self._local.session_of(connection_id, life)
            else:
                found = self._local.session_or_ending(connection_id, life)
                if found is None:
                    return ended
                session = found
            return lambda: here(session)

        return self._calls.anywhere(find, lambda: _given(there()))()

    def count(self, method: str, *arguments: Any) -> None:
        """Call the metrics collector of this process; one that raises is logged and ignored."""
        self._runner.count(method, *arguments)

    def send(self, connection_id: str, life: str, frame: Frame) -> None:
        """See ``Connection.send``."""
        self._do(
            connection_id,
            life,
            lambda session: session.send_frame(frame),
            lambda: self._remote.send_frame(connection_id, life, frame),
        )

    def send_message(self, connection_id: str, life: str, message: Message) -> None:
        """See ``Connection.send``."""
        self.send(connection_id, life, encode_frame(self._runner.codec, message))

    def close(self, connection_id: str, life: str) -> None:
        """See ``Connection.close``."""
        self._do(
            connection_id,
            life,
            orders.close,
            lambda: self._remote.close(connection_id, life),
            ended=_nothing,
        )

    def join(self, connection_id: str, life: str, room_id: str) -> None:
        """See ``Connection.join``."""
        self._do(
            connection_id,
            life,
            lambda session: orders.join(session, room_id),
            lambda: self._remote.join(connection_id, life, room_id),
        )

    def leave(self, connection_id: str, life: str, room_id: str) -> None:
        """See ``Connection.leave``."""
        self._do(
            connection_id,
            life,
            lambda session: orders.leave(session, room_id),
            lambda: self._remote.leave(connection_id, life, room_id),
            ended=_nothing,
        )

    def request(self, connection_id: str, life: str, event: str, payload: Any, timeout: float | None) -> Any:
        """See ``Connection.request``."""
        return self._do(
            connection_id,
            life,
            lambda session: orders.request(session, event, payload, timeout),
            lambda: self._remote.request(connection_id, life, event, payload, timeout),
        )

    def answer(
        self, connection_id: str, life: str, request_id: str, frame: Frame, beyond: int, any_size: bool
    ) -> bool:
        """See ``Elsewhere``."""
        return self._do(
            connection_id,
            life,
            lambda session: put_answer(session, request_id, frame, beyond, any_size),
            lambda: self._remote.answer(connection_id, life, request_id, frame, beyond, any_size),
        )

    def wait_closed(self, connection_id: str, life: str, timeout: float | None) -> bool:
        """See ``Connection.wait_closed``."""
        return self._do(
            connection_id,
            life,
            lambda session: orders.wait_closed(session, timeout),
            lambda: self._remote.wait_closed(connection_id, life, timeout),
            ended=lambda: True,
        )

    def undelivered(self, connection_id: str, life: str) -> list[Frame]:
        """See ``Connection.undelivered``."""
        return self._do(
            connection_id,
            life,
            Session.undelivered_frames,
            lambda: self._remote.undelivered(connection_id, life),
            ended=list,
        )

    def undelivered_messages(self, connection_id: str, life: str) -> list[Message]:
        """The same, decoded."""
        return decode_frames(self._runner.codec, self.undelivered(connection_id, life))

    def look(self, connection_id: str, life: str) -> SeenElsewhere | None:
        """See ``Elsewhere``."""
        look = self.look_at(connection_id, life)
        return SeenElsewhere(look.rooms, look.suspended) if look is not None and not look.closed else None

    def look_at(self, connection_id: str, life: str) -> ConnectionLook | None:
        """How the session is now; None if it has ended."""
        return self._do(
            connection_id,
            life,
            lambda session: look_at(session.connection) if session.connection is not None else None,
            lambda: self._remote.look_at(connection_id, life),
            ended=_nothing,
        )


def _given(value: ResultT) -> Callable[[], ResultT]:
    return lambda: value


def _nothing() -> None:
    """There is nothing to do for a session that has ended."""
