"""A session's life that can be moved from one hub to another between any two steps.

One wire, two hubs under the lab's one scheduler, and a client and an application that do as they are told.
The hubs' clocks are an hour apart. What is written down travels as bytes (``encode``, ``decode``).
``Life.story`` is all that can be seen from outside: the bytes of each wire, the callbacks, and what sends
raised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from resumehub import Connection, Hub, Message, SendBufferFull
from resumehub.clock import Timeline
from resumehub.core import commands as c
from resumehub.core.resume import ResumeRequest
from resumehub.errors import ConnectionClosed, NotMovable, RequestFailed
from resumehub.protocol.tokens import token_of
from resumehub.runtime.base import Runtime
from resumehub.server.moving import adopt_session, export_session
from resumehub.session.ahead_state import ahead_of, rest_of_all, whole
from resumehub.session.session_state import SessionState, decode, encode
from resumehub.testing import Lab
from resumehub.transport.sockets import PartedError
from resumehub.transport.websocket import WebSocketTransport

ID = "alice"

Forget = Callable[[SessionState], SessionState]
APART = 3600.0
"""Seconds between the clocks of the two hubs."""


class Wire:
    """A connection: what the client has said and nobody has read, and what it was told."""

    def __init__(self, runtime: Runtime, window: int | None) -> None:
        self.changed = runtime.condition(runtime.lock("the wire"))
        self.said = bytearray()
        self.gone = False
        self.aborted = False
        self.told = bytearray()
        #: How many more bytes the client takes; None: any number.
        self.window = window

    def change(self, what: Callable[[], object]) -> None:
        with self.changed:
            what()
            self.changed.notify_all()


class WireEnd:
    """One process's end of a wire: a ``ByteStream``."""

    sticky = False
    movable = True
    pollable = None

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.parted = self.released = False

    def receive(self, size: int) -> bytes:
        wire = self.wire
        with wire.changed:
            while not (wire.said or wire.gone or wire.aborted or self.parted):
                wire.changed.wait()
            if self.parted:
                raise PartedError
            if wire.aborted:
                return b""
            data = bytes(wire.said[:size])
            del wire.said[:size]
            return data

    def receive_now(self, size: int) -> bytes:
        raise AssertionError("each transport has a reader of its own here")

    def send(self, pieces: Any) -> int:
        assert not self.parted, "written to, but the connection is parted with"
        wire, data = self.wire, b"".join(pieces)
        if wire.gone or wire.aborted:
            raise BrokenPipeError
        taken = len(data) if wire.window is None else min(len(data), wire.window)
        wire.told += data[:taken]
        if wire.window is not None:
            wire.window -= taken
        return taken

    def wait_writable(self) -> None:
        wire = self.wire
        with wire.changed:
            while not (wire.window != 0 or wire.gone or wire.aborted or self.parted):
                wire.changed.wait()

    def finish_writing(self) -> None:
        """The client is told by the close frame."""

    def has_hung_up(self) -> bool:
        return self.wire.gone and not self.wire.said

    def abort(self) -> None:
        if not self.parted:
            self.wire.change(lambda: setattr(self.wire, "aborted", True))

    def part(self) -> None:
        self.wire.change(lambda: setattr(self, "parted", True))

    def rejoin(self) -> None:
        self.parted = False

    def release(self) -> None:
        self.released = True

    def after_fork_in_child(self) -> None:
        raise AssertionError("nobody forks here")


class OtherClock:
    """The lab's clock, as a process sees it that was started at another time."""

    def __init__(self, lab: Lab) -> None:
        self._clock = lab.clock
        self._timelines: dict[int, Timeline] = {}

    def monotonic(self) -> float:
        return self._clock.monotonic() + APART

    def real_wait(self, deadline: float | None) -> float | None:
        return self._clock.real_wait(None if deadline is None else deadline - APART)

    def follow(self, timeline: Timeline) -> None:
        self._timelines[id(timeline)] = shifted = _Shifted(timeline)
        self._clock.follow(shifted)

    def unfollow(self, timeline: Timeline) -> None:
        shifted = self._timelines.pop(id(timeline), None)
        if shifted is not None:
            self._clock.unfollow(shifted)


class _Shifted:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline

    def settle(self) -> float | None:
        at = self._timeline.settle()
        return None if at is None else at - APART


class Life:
    """One life of ``alice``, in steps. ``moves``: before which steps she goes to the other hub."""

    def __init__(
        self, lab: Lab, *, v1: bool, window: int | None, forget: Forget | None = None, **options: Any
    ) -> None:
        self._lab = lab
        self.v1 = v1
        self.story: list[object] = []
        self.wires: list[Wire] = []
        self.moved = self.stayed = 0
        self._window = window
        #: What a naive variant leaves behind when the session moves.
        self._forget = forget
        known = {"resume_window": 30.0, "ping_interval": 20.0, "write_timeout": 10.0, **options}
        #: The one where she is now, and the other one.
        self.hubs = [
            Hub(_runtime=lab.runtime, clock=clock, **known) for clock in (lab.clock, OtherClock(lab))
        ]
        for hub in self.hubs:
            self._listen(hub)
            hub.runner.start()
        self.handled_by_client = 0
        self._attempt = 0
        self._register(resume=False)

    @property
    def hub(self) -> Hub:
        return self.hubs[0]

    def _listen(self, hub: Hub) -> None:
        @hub.on_connect
        def on_connect(connection: Connection) -> None:
            self.story.append(("connect", connection.id, connection.user, connection.data))

        @hub.on_message
        def on_message(connection: Connection, message: Message) -> Any:
            self.story.append(("message", message.event, message.payload))
            if message.event == "later":
                message.defer()
            if message.event == "echo":
                connection.send(Message("echo", message.payload))
            if message.event == "raise":
                raise LookupError("as the client wished")
            return message.payload

        @hub.on_transport_drop
        def on_transport_drop(connection: Connection, error: Exception | None) -> None:
            self.story.append(("drop", repr(error)))

        @hub.on_transport_restore
        def on_transport_restore(connection: Connection) -> None:
            self.story.append(("restore",))

        @hub.on_join
        def on_join(connection: Connection, room_id: str, reason: str) -> None:
            self.story.append(("joins", room_id, reason))

        @hub.on_leave
        def on_leave(connection: Connection, room_id: str, reason: str) -> None:
            self.story.append(("leaves", room_id, reason))

        @hub.on_disconnect
        def on_disconnect(connection: Connection, error: Exception | None) -> None:
            undelivered = [message.payload for message in connection.undelivered]
            self.story.append(("disconnect", repr(error), undelivered, connection.data))

    # -- steps ------------------------------------------------------------------------------

    def visit(self, who: str) -> None:
        """Another client comes in; from now on the client of the steps is this one."""
        self._register(resume=False, who=who)

    def _register(self, *, resume: bool, user: bool = True, who: str = ID) -> None:
        runner = self.hub.runner
        seen = runner.look(ID, "", self.handled_by_client if self.v1 else None).seen if resume else None
        token = seen.credentials.tokens.newest if seen is not None and seen.credentials.tokens else ""
        self._attempt += 1
        fresh = token_of(f"key-of-{who}-1", f"secret-number-{self._attempt:04}") if self.v1 else ""
        wire = Wire(self._lab.runtime, self._window)
        self.wires.append(wire)
        transport = WebSocketTransport(WireEnd(wire), 1000)
        runner.register(
            transport,
            c.Register(
                0,
                who,
                "lobby",
                life=f"life {self._attempt}",
                resume=resume,
                seen=seen.life if seen is not None else "",
                seen_room="lobby",
                resume_request=ResumeRequest(
                    v1=self.v1,
                    token=token,
                    fresh_token=fresh,
                    attempt=self._attempt if self.v1 else None,
                    user="ada" if user else None,
                    received=self.handled_by_client if self.v1 and resume else None,
                ),
            ),
            data={"since": "the beginning"},
            handshake_response=b"HTTP/1.1 101\r\n\r\n",
        )
        self._lab.run_until_idle()

    def say(self, data: bytes) -> None:
        """The client sends bytes."""
        wire = self.wires[-1]
        wire.change(lambda: wire.said.extend(data))
        self._lab.run_until_idle()

    def read(self, size: int) -> None:
        """The client takes so many bytes more."""
        wire = self.wires[-1]
        if wire.window is not None:
            room = wire.window + size
            wire.change(lambda: setattr(wire, "window", room))
            self._lab.run_until_idle()

    def send(self, text: str, *, broadcast: bool = False) -> None:
        """The application sends."""
        try:
            if broadcast:
                self.hub.broadcast("lobby", Message("n", text))
            elif (connection := self.hub.get(ID)) is not None:
                connection.send(Message("n", text))
        except (SendBufferFull, ConnectionClosed) as error:
            self.story.append((type(error).__name__, text))
        self._lab.run_until_idle()

    def ask(self, event: str) -> None:
        """A thread of the application asks the client; what becomes of it there is not part of the story."""
        if (connection := self.hub.get(ID)) is not None:

            def run() -> None:
                with contextlib.suppress(ConnectionClosed, SendBufferFull, RequestFailed):
                    connection.request(event, timeout=None)

            self._lab.runtime.spawn("asker", run)
            self._lab.run_until_idle()

    def join(self, room: str) -> None:
        """The application lets it into a room."""
        if (connection := self.hub.get(ID)) is not None:
            connection.join(room)
            self._lab.run_until_idle()

    def leave(self, room: str) -> None:
        """The application lets it out of a room."""
        if (connection := self.hub.get(ID)) is not None:
            connection.leave(room)
            self._lab.run_until_idle()

    def drop(self) -> None:
        """The network fails."""
        wire = self.wires[-1]
        wire.change(lambda: setattr(wire, "gone", True))
        self._lab.run_until_idle()

    def resume(self) -> None:
        """The client comes back on another wire."""
        if self.hub.get(ID) is not None:
            self._register(resume=True)

    def resume_without_a_login(self) -> None:
        """Somebody who is not the session's user comes with what the client knows."""
        if self.hub.get(ID) is not None:
            self._register(resume=True, user=False)

    def wait(self, seconds: float) -> None:
        self._lab.clock.advance(seconds)
        self._lab.run_until_idle()

    def kick(self) -> None:
        if self.hub.get(ID) is not None:
            self.hub.kick(ID)
            self._lab.run_until_idle()

    def move(self) -> None:
        """The session goes to the other hub, if it lives and can be moved just now."""
        here, there = self.hubs
        if here.get(ID) is None:
            return
        loop, runtime = here.runner.loop, self._lab.runtime
        assert loop is not None
        try:
            departure = export_session(loop, runtime, ID)
        except NotMovable:
            self.stayed += 1
            self._lab.run_until_idle()
            return
        written = encode(departure.state)
        state = decode(written)
        assert encode(state) == written, "there is one encoding"
        assert whole([ahead_of(state)], rest_of_all([state])) == [state], "as it goes in two parts"
        if self._forget is not None:
            state = self._forget(state)
        stream = WireEnd(self.wires[-1]) if departure.transport is not None else None
        if departure.transport is not None:
            departure.transport.abort()  # refused: it is parted with
            departure.transport.release()
        other = there.runner.loop
        assert other is not None
        adopt_session(other, runtime, state, stream)
        self.hubs.reverse()
        self.moved += 1
        self._lab.run_until_idle()

    # -- the end ----------------------------------------------------------------------------

    def end(self) -> list[object]:
        """Close both hubs; all that could be seen from outside."""
        self._lab.run_until_idle()
        for hub in self.hubs:
            stats = hub.stats()
            settled = stats.acknowledged + stats.written + stats.dropped + stats.expired + stats.closed
            assert stats.accepted == settled + stats.held, stats
        for wire in self.wires:
            wire.change(lambda wire=wire: setattr(wire, "window", None))
        self._lab.run_until_idle()
        for wire in self.wires:
            wire.change(lambda wire=wire: setattr(wire, "gone", True))
        self._lab.run_until_idle()
        for hub in self.hubs:
            assert hub.close(60.0).complete
        return [*self.story, *(bytes(wire.told) for wire in self.wires)]
