"""``Publisher``: sends to the sessions of a cluster from a process that serves none.

For workers of a task queue, cron, a shell. It takes no part in the cluster: it never holds the hub. Any
thread. Read next: ``calls/call_line.py``, ``calls/remote_calls.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import NoReturn

from ..codec import Codec, JSONCodec, encode_frame
from ..core.drain import Drain
from ..errors import ConnectionNotFound, HubUnavailable
from ..message import Message
from ..runtime.base import Runtime
from ..runtime.system import SystemRuntime
from .calls.call_client import CallClient
from .calls.call_line import CallLine, NoSessions
from .calls.remote_calls import RemoteCalls
from .local import LocalCluster


class Publisher:
    """Sends to the sessions of ``cluster``, with the same cluster object as the Hub's.

    ``codec``: the Hub's, if it has one of its own. Nothing is opened and nothing runs before the first call,
    so build it once, in a module; it may be used before and after a fork, and by any thread. Each call is
    answered by the process that holds the hub, with the results and errors that it has there, and raises
    ``HubUnavailable`` where none answers within the cluster's ``timeout``. Where no process holds the hub
    and no session is parked, there are no sessions: that is no error of ``broadcast``.

    Raises: TypeError for what is no LocalCluster, or no codec. Threads: any. Blocks: never.
    """

    def __init__(
        self, cluster: LocalCluster, codec: Codec | None = None, *, _runtime: Runtime | None = None
    ) -> None:
        if not isinstance(cluster, LocalCluster):
            raise TypeError(f"Publisher(cluster) must be a resumehub.cluster.LocalCluster, not {cluster!r}")
        for method in ("encode", "decode"):
            if codec is not None and not callable(getattr(codec, method, None)):
                raise TypeError(f"codec must be an object with encode and decode; got {codec!r}")
        runtime = _runtime if _runtime is not None else SystemRuntime()
        self._codec: Codec = codec if codec is not None else JSONCodec()
        self._line = CallLine(cluster, runtime)
        client = CallClient(runtime, self._line, cluster.timeout, None)
        self._line.serve(client.handlers, client)
        self._remote = RemoteCalls(client, self._codec, _no_handles)

    def send(self, connection_id: str, message: Message) -> None:
        """Queue ``message`` for one session; see ``Hub.send``.

        Raises: ConnectionNotFound; SendBufferFull; HubUnavailable; TypeError or ValueError for what is no
        message. Threads: any. Blocks: until it is in the session's buffer.
        """
        _check("connection_id", connection_id)
        frame = encode_frame(self._codec, message)
        try:
            self._remote.send(connection_id, frame)
        except NoSessions:
            raise ConnectionNotFound(connection_id) from None

    def broadcast(
        self, room_id: str | Iterable[str], message: Message, exclude: str | Iterable[str] | None = ()
    ) -> None:
        """Queue ``message`` for every session of a room, or of several; see ``Hub.broadcast``.

        ``exclude``: ids. Raises: HubUnavailable; TypeError or ValueError for what is no message or no room.
        Threads: any. Blocks: until it is in all buffers.
        """
        rooms = [room_id] if isinstance(room_id, str) else list(dict.fromkeys(room_id))
        excluded = [exclude] if isinstance(exclude, str) else list(exclude or ())
        for name, values in (("room_id", rooms), ("exclude", excluded)):
            for value in values:
                _check(name, value)
        frame = encode_frame(self._codec, message)
        mark = partial(encode_frame, self._codec, message, history=True)
        try:
            self._remote.broadcast_marked(rooms, frame, frozenset(excluded), mark)
        except NoSessions:
            return

    def send_to_user(self, user: str, message: Message) -> int:
        """Queue ``message`` for every session of a user; return for how many. See ``Hub.send_to_user``.

        Raises: HubUnavailable; TypeError or ValueError for what is no message. Threads: any. Blocks: until it
        is in all buffers.
        """
        _check("user", user)
        frame = encode_frame(self._codec, message)
        try:
            return self._remote.send_to_user(user, frame)
        except NoSessions:
            return 0

    def kick(self, connection_id: str) -> None:
        """End a session for good; see ``Hub.kick``.

        Raises: ConnectionNotFound; HubUnavailable. Threads: any. Blocks: until it is done.
        """
        _check("connection_id", connection_id)
        try:
            self._remote.kick(connection_id)
        except NoSessions:
            raise ConnectionNotFound(connection_id) from None

    def drain(self, *, accept_resumes: bool = True) -> int:
        """Have the hub keep what is there, and take no new session; return how many it has.

        See ``Hub.drain(accept_resumes=…)``. For a shell, and a hook that runs before a stop. Raises:
        HubUnavailable, also where no process holds the hub. Threads: any. Blocks: until the hub has done it.
        """
        return self._set_drain(Drain.NEWCOMERS if accept_resumes else Drain.ALL)

    def undrain(self) -> int:
        """Undo ``drain``; return how many sessions there are. Raises, threads, blocks: as ``drain``."""
        return self._set_drain(Drain.NONE)

    def _set_drain(self, drain: Drain) -> int:
        try:
            return self._remote.set_drain(drain)
        except NoSessions:
            raise HubUnavailable(False, "no process holds it") from None

    def close(self) -> None:
        """Close the link to the hub, if there is one. The next call opens it again. Blocks: for a moment."""
        self._line.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def _no_handles() -> NoReturn:
    raise RuntimeError("a Publisher gives no connections")
