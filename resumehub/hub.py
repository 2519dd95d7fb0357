"""``Hub``: the application's view of the package. A facade, safe for any thread; the work is done elsewhere.

A hub can be built anywhere, also before a server forks. It starts no thread until it accepts its first
connection, and then in that process. Read next: ``wsgi/checks.py`` for upgrade requests,
``server/hub_runner.py`` for the threads, ``server/room.py`` for broadcasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from .arguments import check_id, check_limit, having, read_excluded, read_rooms
from .clock import Clock, SystemClock
from .cluster.ground import HOST, Ground
from .cluster.local import LocalCluster
from .cluster.member import Member
from .codec import Codec, JSONCodec, encode_frame
from .config import Config, HistoryOption
from .handlers import check_handler
from .hooks import ALL_HOOKS, Hooks
from .hub_life_cycle import HubLifeCycle
from .limits import USUAL_RATE, ConnectRate, RateLimit
from .message import Message
from .metrics import REQUIRED, Metrics, NoopMetrics
from .runtime.base import Runtime
from .runtime.system import SystemRuntime
from .server.history import for_newcomers
from .server.hub_runner import HubRunner
from .server.local_calls import Calls, LocalCalls
from .session.connection import Connection
from .spans import Spans
from .stats import Stats
from .trace import Trace

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from .wsgi.session_lookup import SessionLookup


class Hub(Hooks, HubLifeCycle):
    """Keeps WebSocket sessions alive when their transports are lost, inside a WSGI process.

    ``connect(request)`` is called for every WebSocket that reaches ``wsgi_app``, on its request
    thread, and returns ``(room_id, connection_id)``, ``(room_id, connection_id, data)`` or an
    ``Admission``, which can also say whose session it is. With an empty id or None, the hub makes an id;
    a plain client cannot resume such a session. To refuse, raise ``ConnectRejected`` (401) or a werkzeug
    ``HTTPException``. An application that calls ``upgrade`` in its views needs no ``connect``.

    Options, all by keyword: see ``resumehub.config.Config`` and docs/reference/api.md, which also says what
    methods ``codec``, ``metrics`` and ``clock`` have.

    Raises: TypeError or ValueError, which name the argument, its value and what is allowed.
    Threads: any; it starts none before it accepts its first connection. Blocks: never.
    """

    def __init__(
        self,
        connect: Callable[..., Any] | None = None,
        *,
        resume_window: float = 30.0,
        ping_interval: float | None = 20.0,
        write_timeout: float = 10.0,
        stall_timeout: float | None = None,
        send_buffer: int = 256,
        send_buffer_bytes: int = 1 << 20,
        max_message_size: int = 64 * 1024,
        max_sessions: int = 10_000,
        max_rooms: int = 64,
        max_requests: int = 1000,
        history: HistoryOption | None = None,
        refusal_delay: float = 0.25,
        problem_details: bool = True,
        callback_threads: int = 32,
        allowed_origins: str | Iterable[str] | None = None,
        on_full: str = "expire",
        on_duplicate: str = "replace",
        subprotocols: Iterable[str] = (),
        compression: bool = False,
        rate: RateLimit | None = USUAL_RATE,
        connect_rate: ConnectRate | None = None,
        buffer_budget: int | None = None,
        data_codec: str | None = "json",
        codec: Codec | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        trace: Trace | None = None,
        spans: Spans | None = None,
        cluster: LocalCluster | None = None,
        _runtime: Runtime | None = None,
        _ground: Ground = HOST,
    ) -> None:
        if connect is not None:
            check_handler(connect, "Hub(connect)", "request", advice=_NO_APPLICATION)
        self.config = Config.build(
            resume_window=resume_window,
            ping_interval=ping_interval,
            write_timeout=write_timeout,
            stall_timeout=stall_timeout,
            send_buffer=send_buffer,
            send_buffer_bytes=send_buffer_bytes,
            max_message_size=max_message_size,
            max_sessions=max_sessions,
            max_rooms=max_rooms,
            max_requests=max_requests,
            history=history,
            refusal_delay=refusal_delay,
            problem_details=problem_details,
            callback_threads=callback_threads,
            allowed_origins=allowed_origins,
            on_full=on_full,
            on_duplicate=on_duplicate,
            subprotocols=subprotocols,
            compression=compression,
            rate=rate,
            connect_rate=connect_rate,
            buffer_budget=buffer_budget,
            data_codec=data_codec,
        )
        self.connect = connect
        if trace is not None and not isinstance(trace, Trace):
            raise TypeError(f"trace must be a resumehub.trace.Trace, or None, not {trace!r}")
        runtime: Runtime = _runtime if _runtime is not None else SystemRuntime(reuse=True, share=True)
        #: Starts and stops the hub's threads; for tests that look inside (``resumehub.testing``).
        self.runner = HubRunner(
            self.config,
            having("codec", codec, JSONCodec, "encode", "decode"),
            having("metrics", metrics, NoopMetrics, *REQUIRED),
            having("clock", clock, SystemClock, "monotonic", "real_wait", "follow", "unfollow"),
            runtime,
            dict.fromkeys(ALL_HOOKS, ()),
            trace,
            having("spans", spans, lambda: None, "begin"),
        )
        self.runner.owner = self
        if cluster is not None and not isinstance(cluster, LocalCluster):
            raise TypeError(
                f"cluster must be a resumehub.cluster.LocalCluster, or None, not {cluster!r}; "
                'give LocalCluster("/var/lib/chat"), with the folder that the processes share'
            )
        #: This process's part in the cluster; None without one.
        self.member = Member(self.runner, cluster, ground=_ground) if cluster is not None else None
        #: Gives what the WSGI side asks; for resumehub's own use.
        self.lookup: Callable[[], SessionLookup] = (
            self.member.lookup if self.member is not None else lambda: self.runner
        )
        self._calls: Calls = LocalCalls(self.runner) if self.member is None else self.member.calls

    # -- sending ----------------------------------------------------------------------------

    def send(self, connection_id: str, message: Message) -> None:
        """Queue ``message`` for one session; see ``Connection.send``.

        Raises: TypeError, whoever is there, for an id that is no str and for what is no Message;
        ConnectionNotFound; what ``Connection.send`` raises. Threads: any. Blocks: never.
        """
        check_id("connection_id", connection_id)
        self._calls.send(connection_id, encode_frame(self.runner.codec, message))

    def broadcast(
        self, room_id: str | Iterable[str], message: Message, exclude: Iterable[str | Connection] | None = ()
    ) -> None:
        """Queue ``message`` for every session of a room, or of several, suspended ones included.

        A session that is in several of the rooms gets it once. A receiver whose buffer is full loses its
        oldest unsent messages (``message_dropped``). ``exclude`` takes ids and connections, None for
        nobody. A room without members is no error. If a handler broadcasts and its thread has more messages
        to handle, frames may be written together with later ones: at most 5 ms later (10 ms, if a handler
        blocks meanwhile).

        Raises: HubClosed; TypeError or ValueError when ``message`` cannot be encoded; TypeError for a room
        id that is no str. Threads: any. Blocks: until earlier broadcasts to the same rooms are queued; never
        for the network.
        """
        room_ids = read_rooms(room_id)
        frame = encode_frame(self.runner.codec, message)
        excluded = read_excluded(exclude)
        option, newcomers = self.config.history, None
        if option is not None:
            newcomers = partial(for_newcomers, option, self.runner.codec, room_ids, message, frame)
        self._calls.broadcast(room_ids, frame, excluded, newcomers)

    def kick(self, connection_id: str) -> None:
        """End a session for good: close code 1000 "kicked", no grace window.

        On return the session is in no table and its id is free. Messages that were sent earlier are
        still written before the close frame; on_disconnect runs soon after.

        Raises: ConnectionNotFound; HubClosed; TypeError for an id that is no str. Threads: any. Blocks: until
        the hub thread has done it; never for the network or a callback.
        """
        check_id("connection_id", connection_id)
        self._calls.kick(connection_id)

    def send_to_user(self, user: str, message: Message) -> int:
        """Queue ``message`` for every session of ``user``, suspended ones included; return for how many.

        Each gets it once. As with a broadcast, a session whose buffer is full loses its oldest unsent
        messages (``message_dropped``). A user without sessions is no error: the answer is 0.

        Raises: HubClosed; TypeError or ValueError when ``message`` cannot be encoded; TypeError when
        ``user`` is no str. Threads: any. Blocks: until earlier messages to the same user are queued; never
        for the network.
        """
        check_id("user", user)
        return self._calls.send_to_user(user, encode_frame(self.runner.codec, message))

    def kick_user(self, user: str) -> None:
        """End every session of ``user`` for good, as ``kick`` does. A user without sessions is no error.

        Raises: HubClosed; TypeError when ``user`` is no str. Threads: any. Blocks: as ``kick``.
        """
        check_id("user", user)
        self._calls.kick_user(user)

    # -- looking ----------------------------------------------------------------------------

    def get(self, connection_id: str) -> Connection | None:
        """The connection with this id, suspended or not; None if there is none.

        Raises: TypeError for an id that is no str. Threads: any. Blocks: never.
        """
        check_id("connection_id", connection_id)
        return self._calls.get(connection_id)

    def connections(self, room_id: str | None = None, *, user: str | None = None) -> list[Connection]:
        """The connections of a room in order of joining, or those of a user, suspended ones included.

        Raises: TypeError for a wrong type, and unless exactly one of the two is given. Threads: any.
        """
        if room_id is None and user is not None:
            check_id("user", user)
            return self._calls.of_user(user)
        if user is not None:
            raise TypeError("connections takes either a room_id or user=…, not both")
        check_id("room_id", room_id)
        return self._calls.in_room(room_id or "")

    def ids(self, room_id: str, limit: int = 1000) -> list[str]:
        """The ids of the first ``limit`` connections of a room in order of joining, suspended ones included.

        Raises: TypeError or ValueError for an id that is no str, or a limit that is no whole number of 1 or
        more. Threads: any. Blocks: never.
        """
        check_id("room_id", room_id)
        check_limit(limit)
        return self._calls.ids(room_id, limit)

    def count(self, room_id: str) -> int:
        """How many sessions are in a room, suspended ones included.

        Raises: TypeError for an id that is no str. Threads: any. Blocks: never.
        """
        check_id("room_id", room_id)
        return self._calls.count(room_id)

    def rooms(self) -> list[str]:
        """The rooms that have sessions. Threads: any."""
        return self._calls.rooms()

    def stats(self) -> Stats:
        """What the hub holds now, and what became of every frame that was sent (the ledger).

        ``accepted == acknowledged + written + dropped + expired + closed + held``, unless a thread sends
        meanwhile. With a cluster they are the hub's, wherever it is. Raises: HubUnavailable with a cluster,
        when its process does not answer. Threads: any. Blocks: for one session's lock at a time, never for
        the hub thread; with a cluster, where the hub is in another process, until that answers.
        """
        stats = self._calls.stats()
        return stats if self.member is None else self.member.completed(stats)

    # -- the way in -------------------------------------------------------------------------

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The hub as a WSGI application: mount it at any path. Needs ``connect``."""
        from .wsgi.checks import answer

        return answer(self.lookup(), self.connect, environ)(environ, start_response)

    __call__ = wsgi_app

    def upgrade(
        self,
        request: Any,
        room_id: str,
        connection_id: str | None = None,
        *,
        data: Any = None,
        user: str | None = None,
    ) -> Response:
        """Answer a request with an upgrade (or a refusal), from inside any view.

        Next: return the response from the view. Headers that the view and its framework add to it are
        part of the 101. ``request``: a werkzeug or Flask request, or a WSGI environ. ``connection_id``
        None or "": the hub makes one. ``data`` is copied into ``connection.data`` of a new session. ``user``:
        whose session it is, for life (at most 255 characters); no other user resumes it, by id or by token.
        None: whoever has the id or the token does.

        Raises: TypeError when an id or ``user`` is no str, or ``request`` is no request. Threads: request
        threads. Blocks: never for the network or the hub.
        """
        from .wsgi.checks import upgrade

        return upgrade(self.lookup(), request, room_id, connection_id, data, user)

    # -- for demos and tests ----------------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether the hub takes no more connections."""
        return self.runner.closing

    def cut(self, connection_id: str) -> bool:
        """Abort a session's transport, as a broken network would; False if it has none.

        The session is suspended, and its client may resume. For demos and tests.
        Raises: TypeError for an id that is no str. Threads: any. Blocks: never.
        """
        check_id("connection_id", connection_id)
        return self._calls.cut(connection_id)


_NO_APPLICATION = (
    ". It says which client a request is. An application is not given to a hub: make Hub(), and call "
    "hub.upgrade(request, room_id) in a view, or mount hub.wsgi_app in the application"
)
