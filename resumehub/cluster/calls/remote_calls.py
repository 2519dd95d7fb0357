"""The calls of ``Hub`` and of connections to a hub in another process: sent over a link, and answered.

It makes of each call what goes over the link, and of the answer the result or the exception that the call has
in the hub's process. Ids are checked and messages are encoded in this process. Any thread. Blocks: until the
hub has answered (``call_client.py``). Read next: ``call_bodies.py``, ``remote_connection.py``.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ...codec import Codec, Undecodable, decode_message, encode_frame
from ...config import validate_identifier
from ...core.drain import Drain
from ...errors import RequestInDoubt
from ...message import Frame, Message
from ...server.history import ForNewcomers
from ...session.asking import check_request_timeout
from ...session.connection import Connection
from ...stats import Stats
from . import call_bodies as b
from .call_client import CallClient
from .call_errors import error_of
from .remote_connection import RemoteConnection, SessionCalls

ResultT = TypeVar("ResultT", bound=b.Result)


class RequestIds:
    """Ids of requests to clients, unlike those of all other processes."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def new(self) -> str:
        """The next one. Any thread."""
        return f"{self._prefix}.{next(self._numbers)}"


class RemoteCalls:
    """``Calls`` (``server/local_calls.py``) and ``Elsewhere`` (``session/elsewhere.py``), over a link.

    ``handles``: gives what the connections call that it gives.
    """

    def __init__(self, client: CallClient, codec: Codec, handles: Callable[[], SessionCalls]) -> None:
        self._client = client
        self._codec = codec
        self._handles = handles
        self._request_ids = RequestIds()

    def renew(self) -> None:
        """This is a forked child: its requests have ids of their own."""
        self._request_ids = RequestIds()

    def _call(self, asked: b.Asked, kind: type[ResultT]) -> ResultT:
        result = self._client.call(asked)
        if isinstance(result, kind):
            return result
        if isinstance(result, b.Raised):
            raise error_of(result)
        raise RuntimeError(f"the hub answered a {type(asked).__name__} with a {type(result).__name__}")

    # -- Calls ------------------------------------------------------------------------------

    def send(self, connection_id: str, frame: Frame) -> None:
        """See ``Calls``."""
        self._call(b.SendCall(connection_id, "", b.FrameValue.of(frame)), b.Done)

    def broadcast(
        self,
        room_ids: Sequence[str],
        frame: Frame,
        excluded: frozenset[str],
        newcomers: Callable[[], ForNewcomers] | None = None,
    ) -> None:
        """See ``Calls``."""
        rooms, value, others = tuple(room_ids), b.FrameValue.of(frame), tuple(excluded)
        if newcomers is None:
            self._call(b.BroadcastCall(rooms, value, others), b.Done)
            return
        kept = newcomers()
        counts = tuple(kept.counts[room_id] for room_id in rooms)
        self._call(b.BroadcastCall(rooms, value, others, counts, b.FrameValue.of(kept.frame)), b.Done)

    def broadcast_marked(
        self, room_ids: Sequence[str], frame: Frame, excluded: frozenset[str], mark: Callable[[], Frame]
    ) -> None:
        """A broadcast of a process that does not know which rooms have a history: the hub says so.

        ``mark``: encodes the message with the mark; called if the hub wants it.
        """
        rooms, value, others = tuple(room_ids), b.FrameValue.of(frame), tuple(excluded)
        result = self._client.call(b.BroadcastCall(rooms, value, others))
        if isinstance(result, b.MarkWanted):
            marked = b.FrameValue.of(mark())
            result = self._client.call(b.BroadcastCall(rooms, value, others, (), marked))
        if isinstance(result, b.Raised):
            raise error_of(result)

    def send_to_user(self, user: str, frame: Frame) -> int:
        """See ``Calls``."""
        return self._call(b.SendToUserCall(user, b.FrameValue.of(frame)), b.Counted).number

    def kick(self, connection_id: str) -> None:
        """See ``Calls``."""
        self._call(b.KickCall(connection_id), b.Done)

    def kick_user(self, user: str) -> None:
        """See ``Calls``."""
        self._call(b.KickUserCall(user), b.Done)

    def end_all(self) -> int:
        """See ``Calls``."""
        return self._call(b.EndAllCall(), b.Counted).number

    def set_drain(self, drain: Drain) -> int:
        """See ``Calls``."""
        return self._call(b.SetDrainCall(drain.value), b.Counted).number

    def cut(self, connection_id: str) -> bool:
        """See ``Calls``."""
        return self._call(b.CutCall(connection_id), b.Whether).true

    def get(self, connection_id: str) -> Connection | None:
        """See ``Calls``."""
        found = self._connections(b.LookCall(connection_id))
        return found[0] if found else None

    def in_room(self, room_id: str) -> list[Connection]:
        """See ``Calls``."""
        return self._connections(b.LookAtRoomCall(room_id))

    def of_user(self, user: str) -> list[Connection]:
        """See ``Calls``."""
        return self._connections(b.LookAtUserCall(user))

    def ids(self, room_id: str, limit: int) -> list[str]:
        """See ``Calls``."""
        return list(self._call(b.IdsCall(room_id, limit), b.Named).names)

    def count(self, room_id: str) -> int:
        """See ``Calls``."""
        return self._call(b.CountCall(room_id), b.Counted).number

    def rooms(self) -> list[str]:
        """See ``Calls``."""
        return list(self._call(b.RoomsCall(), b.Named).names)

    def stats(self) -> Stats:
        """See ``Calls``."""
        return self._call(b.StatsCall(), b.StatsNow).stats

    def _connections(self, asked: b.Asked) -> list[Connection]:
        handles = self._handles()
        return [RemoteConnection(handles, look) for look in self._call(asked, b.Looked).found]

    # -- one session, by id and life --------------------------------------------------------

    def send_frame(self, connection_id: str, life: str, frame: Frame) -> None:
        """See ``Connection.send``."""
        self._call(b.SendCall(connection_id, life, b.FrameValue.of(frame)), b.Done)

    def close(self, connection_id: str, life: str) -> None:
        """See ``Connection.close``."""
        self._call(b.CloseCall(connection_id, life), b.Done)

    def join(self, connection_id: str, life: str, room_id: str) -> None:
        """See ``Connection.join``."""
        validate_identifier("room_id", room_id)
        self._call(b.JoinCall(connection_id, life, room_id), b.Done)

    def leave(self, connection_id: str, life: str, room_id: str) -> None:
        """See ``Connection.leave``."""
        validate_identifier("room_id", room_id)
        self._call(b.LeaveCall(connection_id, life, room_id), b.Done)

    def request(self, connection_id: str, life: str, event: str, payload: Any, timeout: float | None) -> Any:
        """See ``Connection.request``."""
        check_request_timeout(timeout)
        request_id = self._request_ids.new()
        frame = encode_frame(self._codec, Message(event, payload, id=request_id), correlated=True)
        timeout = None if timeout is None else float(timeout)
        asked = b.RequestCall(connection_id, life, request_id, event, b.FrameValue.of(frame), timeout)
        try:
            (answer,) = self._call(asked, b.Frames).frames
        except RequestInDoubt:
            raise RequestInDoubt(connection_id, event) from None
        try:
            return decode_message(self._codec, answer.data()).payload
        except Undecodable as error:
            raise RuntimeError(f"this process can't decode what the hub's could: {error}") from None

    def settle(self, asked: b.SettleCall) -> None:
        """Pass the answer of a client on to the process that waits for it. Raises: HubUnavailable."""
        self._call(asked, b.Done)

    def answer(
        self, connection_id: str, life: str, request_id: str, frame: Frame, beyond: int, any_size: bool
    ) -> bool:
        """See ``Elsewhere``."""
        value = b.FrameValue.of(frame)
        asked = b.AnswerCall(connection_id, life, request_id, value, beyond, any_size)
        return self._call(asked, b.Whether).true

    def wait_closed(self, connection_id: str, life: str, timeout: float | None) -> bool:
        """See ``Connection.wait_closed``."""
        timeout = None if timeout is None else float(timeout)
        return self._call(b.WaitClosedCall(connection_id, life, timeout), b.Whether).true

    def undelivered(self, connection_id: str, life: str) -> list[Frame]:
        """See ``Connection.undelivered``."""
        found = self._call(b.UndeliveredCall(connection_id, life), b.Frames)
        return [value.frame() for value in found.frames]

    def look_at(self, connection_id: str, life: str) -> b.ConnectionLook | None:
        """How the session is now; None if it has ended."""
        found = self._call(b.LookCall(connection_id, life), b.Looked).found
        return found[0] if found else None
