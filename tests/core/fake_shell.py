"""What the shell would do with the machine's effects, as plain lists: outboxes, wires, callbacks.

A model of the hub's other half that fits on a page, so that an order of commands can be played to its
end and looked at: what was sent, where it was written, what became of the rest, and which callbacks
were queued. It is strict: an effect that makes no sense where things stand is an error by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.machine import Machine, Rules
from resumehub.core.resume import NO_REQUEST
from tests.core.lives import epoch_of, next_life

Frame = int


class Wrong(AssertionError):
    """An effect that makes no sense, a lost frame, a callback out of order."""


@dataclass
class Session:
    """One session: ``fate`` says of every frame accepted whether it was written or dropped."""

    connection_id: str
    outbox: list[Frame] = field(default_factory=list)
    accepted: list[Frame] = field(default_factory=list)
    written: list[Frame] = field(default_factory=list)
    dropped: list[Frame] = field(default_factory=list)
    transport: int | None = None
    user: str | None = None
    ended: bool = False
    callbacks: list[str] = field(default_factory=list)
    told_of: list[str] = field(default_factory=list)  # the rooms of its on_join, less those of its on_leave
    reason: str = ""  # why it has ended, as the metrics say


@dataclass
class Wire:
    """One transport: ``log`` is what its peer can read, frames and close codes."""

    epoch: int | None
    takes: int
    log: list[Any] = field(default_factory=list)
    close: tuple[int, bool] | None = None
    aborted: bool = False


class FakeShell:
    """A machine and the shell around it. Every wire takes ``takes`` frames, then its peer stops reading."""

    def __init__(self, machine: type[Machine] = Machine, takes: int = 1000, **rules: Any) -> None:
        options = {"resume_window": 30.0, "write_timeout": 10.0, "ping_interval": None} | rules
        self.machine = machine(Rules(**options))
        self.now = 0.0
        self.takes = takes
        self.sessions: dict[int, Session] = {}
        self.holders: dict[str, int] = {}
        self.wires: dict[int, Wire] = {}
        self.hooks: dict[str, list[tuple[int, str]]] = {}
        self.balance: dict[str, int] = {}
        self.finished = False
        self.frames = 0
        self.registrations = 0
        self.most_sessions = 0
        self.rooms: dict[str, list[int]] = {}  # epochs
        self._means: dict[int, int | None] = {}  # the session that a transport's client wants back
        self._users: dict[int, str | None] = {}

    # -- what can happen --------------------------------------------------------------------

    def do(self, command: c.Command) -> None:
        """Let a command happen, and everything that it asks for."""
        if self.finished:
            return  # the hub thread has left: nobody takes commands any more
        for effect in self.machine.handle(command, self.now):
            observed = self._execute(effect)
            if observed is not None:
                self.do(observed)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while not self.finished and (at := self.machine.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.do(c.Tick())
        self.now = until
        self.do(c.Tick())

    def register(self, connection_id: str = "u1", **more: Any) -> None:
        self.registrations += 1
        self._means[self.registrations] = epoch_of(more.get("seen"))
        self._users[self.registrations] = user = more.get("resume_request", NO_REQUEST).user
        holder = self.machine.sessions.get(connection_id)
        theirs = holder is not None and holder.credentials.user not in (None, user)
        self.do(
            c.Register(
                self.registrations,
                connection_id,
                **({"room_id": "lobby", "life": next_life(self.machine)} | more),
            )
        )
        _insist(not theirs or self.machine.sessions.get(connection_id) is holder, "another user ends it")

    def send(self, connection_id: str = "u1") -> None:
        """The application sends, if it still can; frames are numbered."""
        epoch = self.holders.get(connection_id)
        self._accept([epoch] if epoch is not None else [])

    def broadcast(self, *rooms: str) -> None:
        """The application broadcasts to several rooms: each member gets one frame."""
        self._accept(list(dict.fromkeys(epoch for room in rooms for epoch in self.rooms.get(room, []))))

    def _accept(self, epochs: list[int]) -> None:
        self.frames += 1
        for session in (self.sessions[epoch] for epoch in epochs):
            session.outbox.append(self.frames)
            session.accepted.append(self.frames)
            self._pump(session.transport)

    def present(self, connection_id: str = "u1") -> int:
        """The transport that the session was last seen on (which need not be there any more)."""
        session = self.machine.sessions.get(connection_id)
        if session is not None and session.transport is not None:
            return session.transport
        admitted = (number for number, wire in self.wires.items() if wire.epoch is not None)
        return max(admitted, default=self.registrations)

    def finish(self) -> None:
        """Shut everything down politely: peers answer close frames that reach them; the rest is deadlines."""
        self.do(c.Shutdown())
        for number, wire in self.wires.items():
            if any(isinstance(entry, tuple) for entry in wire.log) and not wire.aborted:
                self.do(c.CloseSent(number))
                self.do(c.PeerClosed(number, 1000, ""))
        self.wait(60)
        for number in self.wires:
            self.do(c.Released(number))

    # -- effects ----------------------------------------------------------------------------

    def _execute(self, effect: e.Effect) -> c.Observed | None:
        match effect:
            case e.OpenSession(epoch, connection_id, room, number, credentials):
                _insist(self._means.get(number) is None, f"a resume opens session {epoch} in silence")
                _insist(connection_id not in self.holders, f"two sessions hold {connection_id!r}")
                self.sessions[epoch] = Session(connection_id, user=credentials.user)
                self.holders[connection_id] = epoch
                self._enter_room(epoch, room)
            case e.AddMember(epoch, room):
                self._enter_room(epoch, room)
            case e.RemoveMember(epoch, room):
                _insist(
                    epoch in self.rooms.get(room, []), f"session {epoch} leaves {room!r}, and is not there"
                )
                self.rooms[room].remove(epoch)
            case e.AttachTransport(number, epoch, _):
                self.most_sessions = max(
                    self.most_sessions, sum(not one.ended for one in self.sessions.values())
                )
                session = self.sessions[epoch]
                _insist(session.transport is None and not session.ended, f"session {epoch} can't be attached")
                _insist(self._means.get(number) in (None, epoch), f"a stranger resumes session {epoch}")
                _insist(
                    session.user in (None, self._users.get(number)), f"another user resumes session {epoch}"
                )
                session.transport = number
                self._admit(number, epoch)
                self._pump(number)
            case e.AdmitToRefuse(number):
                self._admit(number, None)
            case e.DetachTransport(number, epoch):
                session = self.sessions[epoch]
                on = session.transport
                _insist(on == number, f"session {epoch} is on transport {on}, not {number}")
                session.transport = None
            case e.EndSession():
                self._end(effect)
            case e.SendClose(number, code, _, after_data):
                wire = self.wires[number]
                _insist(wire.close is None and not wire.aborted, f"transport {number} is closed twice")
                wire.close = (int(code), after_data)
                self._pump(number)
            case e.DiscardUnsent(number):
                self._drop(self.wires[number].epoch)
                self.wires[number].takes = 1000  # the close frame now finds room
                self._pump(number)
            case e.AbortTransport(number):
                wire = self.wires.setdefault(
                    number, Wire(None, 0)
                )  # one whose peer had gone was never admitted
                _insist(not wire.aborted, f"transport {number} is aborted twice")
                wire.aborted = True
                if wire.epoch is not None and self.sessions[wire.epoch].ended:
                    self._drop(wire.epoch)
            case e.Inspect(number, kind):
                return c.Observed(number, kind, False, 0.0, float("-inf"), True, 0.0)
            case e.NotifyMembership():
                self._tell_of_room(effect)
            case e.Notify(epoch, hook, _, _):
                session = self.sessions[epoch]
                session.callbacks.append(hook)
                self.hooks.setdefault(session.connection_id, []).append((epoch, hook))
            case e.Count(method, arguments):
                if method == "connection_closed":
                    newest = max(n for n, one in self.sessions.items() if one.connection_id == arguments[1])
                    self.sessions[newest].reason = arguments[-1]
                self.balance[method] = self.balance.get(method, 0) + 1
            case e.Finish():
                _insist(not self.finished, "the hub finishes twice")
                self.finished = True
        return None

    def _admit(self, number: int, epoch: int | None) -> None:
        _insist(number not in self.wires, f"transport {number} is started twice")
        self.wires[number] = Wire(epoch, self.takes)

    def _enter_room(self, epoch: int, room: str) -> None:
        members = self.rooms.setdefault(room, [])
        _insist(epoch not in members, f"session {epoch} enters {room!r} twice")
        _insist(not self.sessions[epoch].ended, f"session {epoch} enters {room!r} after its end")
        members.append(epoch)

    def _end(self, effect: e.EndSession) -> None:
        session = self.sessions[effect.epoch]
        _insist(not session.ended, f"session {effect.epoch} ends twice")
        holder = self.holders.get(session.connection_id)
        _insist(holder == effect.epoch, f"session {effect.epoch} does not hold its id")
        session.ended = True
        for members in self.rooms.values():
            if effect.epoch in members:
                members.remove(effect.epoch)
        del self.holders[session.connection_id]
        if not effect.flush:
            self._drop(effect.epoch)

    def _tell_of_room(self, effect: e.NotifyMembership) -> None:
        """On_join and on_leave of a room take turns, between connect and disconnect; both are true."""
        session, room, joins = self.sessions[effect.epoch], effect.room_id, effect.hook == "on_join"
        what = f"{effect.hook} of session {effect.epoch} and room {room!r} ({effect.reason})"
        _insist(session.callbacks[:1] == ["on_connect"], f"{what} before on_connect")
        _insist("on_disconnect" not in session.callbacks, f"{what} after on_disconnect")
        _insist((room in session.told_of) != joins, f"{what}, when it was told of {session.told_of}")
        _insist((effect.epoch in self.rooms[room]) == joins, f"{what} is not what the room says")
        reasons = ("connect", "join") if joins else (session.reason if session.ended else "leave",)
        _insist(effect.reason in reasons, f"{what}, but the reason is {reasons}")
        (session.told_of.append if joins else session.told_of.remove)(room)

    def _pump(self, number: int | None) -> None:
        """Write what can be written to a wire, in the order of the writer."""
        wire = self.wires[number] if number is not None else None
        if wire is None or wire.aborted:
            return
        if wire.close is not None and not wire.close[1]:
            if wire.takes:
                self._write_close(wire)
            return
        session = self.sessions[wire.epoch] if wire.epoch is not None else None
        while session is not None and session.outbox and wire.takes and session.transport == number:
            frame = session.outbox.pop(0)
            wire.takes -= 1
            wire.log.append(frame)
            session.written.append(frame)
        if wire.close is not None and wire.takes and not (session is not None and session.outbox):
            self._write_close(wire)

    def _write_close(self, wire: Wire) -> None:
        if wire.close is not None and wire.close not in wire.log:
            wire.log.append(wire.close)

    def _drop(self, epoch: int | None) -> None:
        if epoch is not None and self.sessions[epoch].ended:
            session = self.sessions[epoch]
            session.dropped += session.outbox
            session.outbox.clear()

    # -- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        """After every step."""
        for epoch, session in self.sessions.items():
            fates = session.written + session.dropped + session.outbox
            if sorted(fates) != session.accepted:
                raise Wrong(f"session {epoch}: {session.accepted} became {fates}")
            if session.written != sorted(session.written):
                raise Wrong(f"session {epoch} was written {session.written}")
            check_callbacks(epoch, session.callbacks)
        for number, wire in self.wires.items():
            if wire.close in wire.log[:-1]:
                raise Wrong(f"transport {number} was written {wire.log}: something behind its close frame")
        rooms = {room: len(members) for room, members in self.rooms.items() if members}
        if rooms != self.machine.rooms:
            raise Wrong(f"the rooms have {rooms} members, and are counted as {self.machine.rooms}")
        for connection_id, hooks in self.hooks.items():
            if hooks != sorted(hooks, key=by_epoch):
                raise Wrong(f"the callbacks of {connection_id!r} are mixed: {hooks}")

    def check_end(self) -> None:
        """After ``finish``: everybody was told, nothing is left."""
        self.check()
        _insist(self.finished, "the hub does not finish")
        for epoch, session in self.sessions.items():
            _insist(session.callbacks[-1] == "on_disconnect", f"session {epoch} was never told of its end")
            _insist(not session.outbox, f"session {epoch} still has {session.outbox}")
            _insist(not session.told_of, f"session {epoch} was never told to have left {session.told_of}")
        for more, less in (("connection_opened", "connection_closed"), ("room_created", "room_destroyed")):
            counts = self.balance.get(more, 0), self.balance.get(less, 0)
            _insist(counts[0] == counts[1], f"{more} and {less} were counted {counts} times")
        left = [number for number, wire in self.wires.items() if not wire.aborted]
        _insist(not left, f"the transports {left} were never aborted")


def by_epoch(hook: tuple[int, str]) -> int:
    return hook[0]


TURNS = ("on_transport_drop", "on_transport_restore")


def check_callbacks(epoch: int, hooks: list[str]) -> None:
    """Connect first, disconnect once and last, drop and restore in turns."""
    for place, hook in enumerate(hooks):
        match hook:
            case "on_connect":
                holds = place == 0
            case "on_disconnect":
                holds = place == len(hooks) - 1
            case _:
                holds = place > 0 and hook == TURNS[(place - 1) % 2]
        if not holds:
            raise Wrong(f"session {epoch} is out of order, or goes on after its end: {' '.join(hooks)}")


def _insist(holds: bool, sentence: str) -> None:
    if not holds:
        raise Wrong(sentence)
