"""``Hub``: what an application sees of it all. A thread-safe facade; the work is in ``server/hub_loop.py``.

A hub can be built anywhere (before a server forks, too): it starts nothing until it is first used
to accept a connection, and then in that process. Read next: ``wsgi/checks.py`` for the way in,
``server/hub_loop.py`` for what runs.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .clock import Clock, SystemClock
from .codec import Codec, JSONCodec, encode_frame
from .config import Config
from .core.commands import TransportAborted
from .errors import ConnectionNotFound, HubClosed
from .message import Message
from .metrics import Metrics, NoopMetrics
from .outgoing.transport_writer import BARRED, PASSED, TransportWriter
from .runtime.base import Runtime
from .runtime.system import SystemRuntime
from .server.hub_loop import HubLoop
from .server.registry import SessionRegistry
from .session.connection import Connection, Offered
from .stats import Stats
from .trace import Trace

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

Handler = TypeVar("Handler", bound=Callable[..., Any])

HOOKS = ("on_connect", "on_message", "on_transport_drop", "on_transport_restore", "on_disconnect")

_hubs: weakref.WeakSet[Hub] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What ``hub.close`` achieved. ``stuck``: threads still busy, each with its stack as text."""

    complete: bool
    stuck: list[tuple[str, str]] = field(default_factory=list)


class Hub:
    """Keeps WebSocket sessions alive over the death of their transports, inside a WSGI process.

    ``connect(request)`` is called for every WebSocket that reaches ``wsgi_app``, on its request
    thread, and returns ``(room_id, connection_id)`` or ``(room_id, connection_id, data)``. An empty
    or None id has the hub make one; such a session is not resumable by ``?resume=true``. To refuse,
    raise ``ConnectRejected`` (401) or a werkzeug ``HTTPException``. An application that calls
    ``upgrade`` in its views needs no ``connect``.

    Options: ``resume_window``, ``ping_interval``, ``write_timeout`` (seconds), ``send_buffer``
    (messages), ``send_buffer_bytes``, ``max_message_size`` (bytes), ``max_sessions``,
    ``callback_threads``, ``allowed_origins``, ``on_duplicate``, ``subprotocols``, ``compression``: see
    ``resumehub.config.Config`` and docs/reference/api.md. ``codec``, ``metrics`` and ``clock`` are
    objects with the methods of ``resumehub.codec.Codec``, ``metrics.Metrics`` and ``clock.Clock``.

    Raises: TypeError or ValueError that name the argument, its value and what is allowed.
    Threads: any. Blocks: never. Starts nothing until it is first used to accept a connection.
    """

    def __init__(
        self,
        connect: Callable[..., Any] | None = None,
        *,
        resume_window: float = 30.0,
        ping_interval: float | None = 20.0,
        write_timeout: float = 10.0,
        send_buffer: int = 256,
        send_buffer_bytes: int = 1 << 20,
        max_message_size: int = 64 * 1024,
        max_sessions: int = 10_000,
        callback_threads: int = 32,
        allowed_origins: str | Iterable[str] | None = None,
        on_duplicate: str = "replace",
        subprotocols: Iterable[str] = (),
        compression: bool = False,
        codec: Codec | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        trace: Trace | None = None,
        _runtime: Runtime | None = None,
    ) -> None:
        if connect is not None and not callable(connect):
            raise TypeError(f"connect must be a function of the request, or None, not {connect!r}")
        self.config = Config.build(
            resume_window=resume_window,
            ping_interval=ping_interval,
            write_timeout=write_timeout,
            send_buffer=send_buffer,
            send_buffer_bytes=send_buffer_bytes,
            max_message_size=max_message_size,
            max_sessions=max_sessions,
            callback_threads=callback_threads,
            allowed_origins=allowed_origins,
            on_duplicate=on_duplicate,
            subprotocols=subprotocols,
            compression=compression,
        )
        self.connect = connect
        self._codec = _having("codec", codec, JSONCodec, "encode", "decode")
        self._metrics = _having("metrics", metrics, NoopMetrics, *_METRICS)
        self._clock = _having("clock", clock, SystemClock, "monotonic", "real_wait", "follow", "unfollow")
        if trace is not None and not isinstance(trace, Trace):
            raise TypeError(f"trace must be a resumehub.trace.Trace, or None, not {trace!r}")
        self._trace = trace
        self._runtime: Runtime = _runtime if _runtime is not None else SystemRuntime(reuse=True, share=True)
        self._handlers: dict[str, tuple[Callable[..., Any], ...]] = dict.fromkeys(HOOKS, ())
        self._lock = self._runtime.lock("the hub's handlers")
        self._loop: HubLoop | None = None
        self._closed = False
        _hubs.add(self)

    # -- handlers ---------------------------------------------------------------------------

    def on_connect(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a session begins, before its first message.

        If it raises, the session ends with close code 1011. Not called for a resume.
        Handlers run one at a time for each connection id, on a thread of the hub's; several
        of one hook run in order of registration. They may block: only their own session waits.
        """
        return self._register("on_connect", handler)

    def on_message(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, message)`` for every message; a ``Router`` will do.

        If it raises, the transport ends with 1011 and the session waits for a resume.
        """
        return self._register("on_message", handler)

    def on_transport_drop(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, error)`` when a session loses its transport.

        ``error``: TransportLost, HeartbeatTimeout or HandlerError; None after a takeover.
        """
        return self._register("on_transport_drop", handler)

    def on_transport_restore(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection)`` when a client came back to its session."""
        return self._register("on_transport_restore", handler)

    def on_disconnect(self, handler: Handler) -> Handler:
        """Decorator: ``handler(connection, error)``, once and last, when a session has ended.

        ``error``: None for a client's leave, ``close()`` and a kick; DuplicateConnectionId; HubClosed;
        otherwise why the last transport died.
        """
        return self._register("on_disconnect", handler)

    def _register(self, hook: str, handler: Handler) -> Handler:
        if not callable(handler):
            raise TypeError(f"{hook} takes a function, not {handler!r}")
        with self._lock:
            self._handlers[hook] = (*self._handlers[hook], handler)
        return handler

    # -- sending ----------------------------------------------------------------------------

    def send(self, connection_id: str, message: Message) -> None:
        """Queue ``message`` for one session; see ``Connection.send``.

        Raises: ConnectionNotFound, and what ``Connection.send`` raises. Threads: any. Blocks: never.
        """
        loop = self._open_loop()
        connection = loop.registry.sessions.get(connection_id) if loop is not None else None
        if connection is None:
            raise ConnectionNotFound(connection_id)
        connection.send(message)

    def broadcast(self, room_id: str, message: Message, exclude: Iterable[str | Connection] = ()) -> None:
        """Queue ``message`` for every session of a room, suspended ones included.

        A receiver whose buffer is full loses its oldest unsent messages (``message_dropped``).
        ``exclude`` takes ids and connections. A room without members is no error. In a handler whose thread
        has more messages in hand, what is broadcast may be written together with what follows, 5 ms later
        at the latest (10, if a handler blocks meanwhile).

        Raises: HubClosed; TypeError or ValueError when ``message`` cannot be encoded.
        Threads: any. Blocks: until broadcasts to the same room that began before have gone through;
        never for the network.
        """
        frame = encode_frame(self._codec, message)
        excluded = _ids(exclude)
        loop = self._open_loop()
        room = loop.registry.rooms.get(room_id) if loop is not None else None
        if loop is None or room is None:
            return
        size, recipients, watched = frame.size, 0, loop.watched
        waiting, passed, held = list[Offered](), list[tuple[TransportWriter, int]](), list[TransportWriter]()
        cork = loop.leader_followers.open_cork() if loop.leader_followers is not None else None
        with room.order:
            for connection in room.members():
                if excluded and connection.id in excluded:
                    continue
                writer = connection._writer
                if cork is not None and writer is not None and writer.hold_back(frame):
                    held.append(writer)
                    continue
                passage = writer.pass_through(frame, size) if writer is not None else BARRED
                if passage is PASSED:
                    recipients += 1
                    if watched and writer is not None:
                        passed.append((writer, connection._outbox.used_frames))
                elif (offered := connection._offer(frame, passage)) is not None:
                    waiting.append(offered)
        if cork is not None:
            cork.hold(held)
            recipients += len(held)
        for one in waiting:
            self._settle(loop, one)
        if watched:  # without the room's lock: a collector is not ours
            for to, used in passed:
                loop.passed(to, size, used)
            recipients += len(waiting)
            loop.note("app", "Broadcast", room_id=room_id, size=size, recipients=recipients)
            loop.count("message_broadcast", room_id, size, recipients)

    def _settle(self, loop: HubLoop, offered: Offered) -> None:
        if offered.writer is not None:
            offered.writer.report(offered.flushed)
        connection = offered.connection
        for _ in range(offered.dropped):
            loop.count("message_dropped", connection.room_id, connection.id, "overflow")
        if offered.used:
            loop.buffer_changed(connection, offered.used)

    def kick(self, connection_id: str) -> None:
        """End a session for good: close code 1000 "kicked", no grace window.

        Returns when the session has left the tables: its id is free. What was sent before still
        goes out ahead of the close frame; on_disconnect runs soon after.

        Raises: ConnectionNotFound; HubClosed. Threads: any. Blocks: until the hub thread has handled
        it; never for the network or a callback.
        """
        loop = self._open_loop()
        if loop is None:
            raise ConnectionNotFound(connection_id)
        loop.kick(connection_id)

    # -- looking ----------------------------------------------------------------------------

    def get(self, connection_id: str) -> Connection | None:
        """The session with this id, suspended or not; None if there is none. Threads: any."""
        registry = self._registry()
        return registry.sessions.get(connection_id) if registry is not None else None

    def connections(self, room_id: str) -> list[Connection]:
        """The sessions of a room in order of joining, suspended ones included. Threads: any."""
        registry = self._registry()
        room = registry.rooms.get(room_id) if registry is not None else None
        return room.members() if room is not None else []

    def rooms(self) -> list[str]:
        """The rooms that have sessions. Threads: any."""
        registry = self._registry()
        return list(registry.rooms) if registry is not None else []

    def stats(self) -> Stats:
        """How many sessions there are, and what became of every frame that was sent (the ledger).

        ``accepted == acknowledged + written + dropped + expired + closed + held``, as far as nothing is
        sent meanwhile. Threads: any. Blocks: for one session's lock at a time.
        """
        return self._loop.stats() if self._loop is not None else Stats()

    def _registry(self) -> SessionRegistry | None:
        # A hub that closes shows none of the sessions that its thread has not ended yet.
        return self._loop.registry if self._loop is not None and not self._closed else None

    # -- the end ----------------------------------------------------------------------------

    def close(self, timeout: float = 5.0) -> CloseReport:
        """End all sessions (close code 1001), run their on_disconnect, stop every thread.

        ``timeout``: real seconds, 0 or more; whoever has not answered by then is cut off. The
        report is complete when no thread, socket or timer of the hub is left, and otherwise
        names the threads that are stuck (in a callback of yours, most likely) with their stacks.
        Called from a callback it starts the close and returns at once, incomplete. Calling it
        again waits again.

        Raises: ValueError, TypeError for a wrong timeout. Threads: any. Blocks: up to ``timeout``.
        """
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise TypeError(f"timeout must be a number of seconds, not {timeout!r}")
        if not timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, not {timeout!r}")
        with self._lock:
            self._closed = True
            loop = self._loop
        stuck = loop.close(float(timeout)) if loop is not None else []
        return CloseReport(not stuck, stuck)

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the way in -------------------------------------------------------------------------

    def wsgi_app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The hub as a WSGI application: mount it anywhere. Needs ``connect``."""
        from .wsgi.checks import answer

        response = answer(self, environ)
        return response(environ, start_response)

    __call__ = wsgi_app

    def upgrade(
        self, request: Any, room_id: str, connection_id: str | None = None, *, data: Any = None
    ) -> Response:
        """Answer a request with an upgrade (or a refusal), from inside any view.

        Return what it returns. ``request``: a werkzeug or Flask request, or a WSGI environ. The
        headers that the view and its framework put on the response are part of the 101.
        ``connection_id`` None or "": the hub makes one. ``data`` is copied into ``connection.data``
        of a new session.

        Raises: TypeError when an id is no str, or ``request`` is no request. Threads: the request's.
        Blocks: never for the network or the hub.
        """
        from .wsgi.checks import upgrade

        return upgrade(self, request, room_id, connection_id, data)

    # -- for wsgi/checks.py and the tests ----------------------------------------------------------

    @property
    def closing(self) -> bool:
        """Whether the hub takes no more connections."""
        return self._closed or (self._loop is not None and self._loop.closing)

    def _started(self) -> HubLoop:
        """The running engine, started on first use. Raises HubClosed."""
        with self._lock:
            if self._closed:
                raise HubClosed
            if self._loop is None:
                loop = HubLoop(
                    self.config,
                    self._codec,
                    self._metrics,
                    self._clock,
                    self._runtime,
                    self._handlers,
                    f"{id(self):x}",
                    self._trace,
                )
                loop.start()
                self._loop = loop
            return self._loop

    def _holder_of(self, key: str) -> Connection | None:
        """The v1 session whose tokens begin so."""
        registry = self._registry()
        return registry.keys.get(key) if registry is not None else None

    def _open_loop(self) -> HubLoop | None:
        if self._closed:
            raise HubClosed
        return self._loop

    def _abort_transport(self, connection_id: str) -> bool:
        """Cut a session's transport as a broken network would; whether there was one. For demos."""
        loop, connection = self._loop, self.get(connection_id)
        writer = connection._writer if connection is not None else None
        if loop is None or writer is None:
            return False
        return loop.put(TransportAborted(writer.number))

    def _after_fork(self) -> None:
        loop, self._loop = self._loop, None
        self._lock = self._runtime.lock()
        if loop is not None:
            loop.forget()


_METRICS = tuple(name for name in vars(NoopMetrics) if not name.startswith("_"))


def _having(name: str, value: Any, default: Callable[[], Any], *methods: str) -> Any:
    if value is None:
        return default()
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing or isinstance(value, type):
        what = "an object, not a class" if isinstance(value, type) else f"an object with {', '.join(missing)}"
        raise TypeError(f"{name} must be {what}; got {value!r}")
    return value


def _ids(exclude: Iterable[str | Connection]) -> frozenset[str]:
    if isinstance(exclude, str | Connection):
        exclude = (exclude,)
    ids = set()
    for one in exclude:
        if not isinstance(one, str | Connection):
            raise TypeError(f"exclude takes connection ids and connections, not {one!r}")
        ids.add(one if isinstance(one, str) else one.id)
    return frozenset(ids)


def _forget_in_child() -> None:
    for hub in list(_hubs):
        hub._after_fork()


os.register_at_fork(after_in_child=_forget_in_child)
