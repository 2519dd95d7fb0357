"""A machine and a test that drives it: no thread, no socket, time by hand.

``MachineDriver`` hands commands to a machine, keeps the effects that it asks for, answers at once when it
wants to look at a transport, and checks after every single command that the invariants hold. Transports have
numbers from 1 on, in the order of their registrations.
"""

from __future__ import annotations

from typing import Any

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.invariants import broken
from resumehub.core.machine import Machine, Rules
from resumehub.core.records import SessionRecord, TransportState
from resumehub.errors import HandlerError
from tests.core.lives import next_life

WINDOW = 30.0
TIMEOUT = 10.0
PING = 20.0
INF = float("inf")


class Broken(AssertionError):
    """An invariant does not hold."""


class MachineDriver:
    """One machine and its time, in seconds. Without heartbeat, unless ``ping_interval`` says so."""

    def __init__(self, machine: type[Machine] = Machine, **rules: Any) -> None:
        options = {"resume_window": WINDOW, "write_timeout": TIMEOUT, "ping_interval": None} | rules
        self.machine = machine(Rules(**options))
        self.now = 0.0
        self.effects: list[e.Effect] = []
        self.transports = 0
        # What an ``Inspect`` finds, of whichever transport: a peer that is silent and takes nothing.
        self.heard = False
        # Whether each client has said anything within write_timeout of its attach, as most do.
        self.spoken = True
        self.reading_since: float | None = 0.0
        self.took_at = -INF
        self.blocked = True
        self.full_since: float | None = None
        self.reads_on_since = -INF
        self._pinged_at: dict[int, float] = {}

    # -- doing ------------------------------------------------------------------------------

    def do(self, *commands: c.Command) -> list[e.Effect]:
        """Let the commands happen now, one after the other; give all that is asked for."""
        done: list[e.Effect] = []
        for command in commands:
            done += self._handle(command)
            if sentences := broken(self.machine):
                raise Broken(f"after {command}: " + "; ".join(sentences))
        self.effects += done
        return done

    def _handle(self, command: c.Command) -> list[e.Effect]:
        done: list[e.Effect] = []
        for effect in self.machine.handle(command, self.now):
            done.append(effect)
            match effect:
                case e.SendPing(number):
                    self._pinged_at[number] = self.now
                case e.Inspect(number, kind):
                    done += self._handle(self._look(number, kind))
        return done

    def _look(self, number: int, kind: DeadlineKind) -> c.Observed:
        return c.Observed(
            number,
            kind,
            heard=self.spoken if kind is DeadlineKind.FIRST_PING else self.heard,
            reading_since=self.reading_since,
            took_at=self.took_at,
            blocked=self.blocked,
            pinged_at=self._pinged_at.get(number, -INF),
            full_since=self.full_since,
            reads_on_since=self.reads_on_since,
            seen_at=self.now,
        )

    def wait(self, seconds: float) -> list[e.Effect]:
        """Let time pass from deadline to deadline, as the hub thread does."""
        done: list[e.Effect] = []
        until = self.now + seconds
        while (at := self.machine.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            done += self.do(c.Tick())
        self.now = until
        return done + self.do(c.Tick())

    def register(self, connection_id: str = "u1", room_id: str = "lobby", **more: Any) -> list[e.Effect]:
        """A client comes, on a transport of its own."""
        self.transports += 1
        return self.do(
            c.Register(self.transports, connection_id, room_id, **({"life": next_life(self.machine)} | more))
        )

    def resume(self, connection_id: str = "u1", **more: Any) -> list[e.Effect]:
        """A client comes back to the session that it finds now."""
        session = self.machine.sessions[connection_id]
        # An id finds its session from any URL, a token from that of the session's room alone.
        room_id = "elsewhere" if session.credentials.tokens is None else session.room_id
        return self.register(connection_id, **({"room_id": room_id} | self.seen(connection_id) | more))

    def seen(self, connection_id: str = "u1") -> dict[str, Any]:
        """What a pre-check with resume intent says of a session that it looks at now."""
        session = self.machine.sessions[connection_id]
        return {"resume": True, "seen": session.life, "seen_room": session.room_id}

    def failure(self, hook: str = "on_message", connection_id: str = "u1", **more: int) -> c.HandlerFailed:
        """A handler raised that ran for what the session is now."""
        session = self.machine.sessions[connection_id]
        known = {"epoch": session.epoch, "generation": session.generation} | more
        return c.HandlerFailed(hook=hook, error=HandlerError(hook), **known)

    # -- looking ----------------------------------------------------------------------------

    def session(self, connection_id: str = "u1") -> SessionRecord | None:
        return self.machine.sessions.get(connection_id)

    def state(self, connection_id: str = "u1") -> str:
        session = self.session(connection_id)
        return "CLOSED" if session is None else session.state.name

    def transport(self, number: int) -> TransportState:
        return self.machine.transports[number]

    def due(self, kind: DeadlineKind, owner: int = 1) -> float | None:
        return self.machine.deadlines.armed_at(kind, owner)


def suspended(**options: Any) -> MachineDriver:
    """A session u1 (epoch 1) that has lost its transport 1, which is gone for good."""
    play = MachineDriver(**options)
    play.register()
    play.do(c.PeerGone(1, reset=True), c.Released(1))
    play.effects.clear()
    return play


def names(effects: list[e.Effect]) -> list[str]:
    """The kinds of effects, without those that only count, and those that tell who is in a room."""
    left_out = e.Count | e.Ignored | e.NotifyMembership
    return [type(effect).__name__ for effect in effects if not isinstance(effect, left_out)]


def memberships(effects: list[e.Effect]) -> list[tuple[str, str, str]]:
    """Each on_join and on_leave with its room and reason."""
    told = [effect for effect in effects if isinstance(effect, e.NotifyMembership)]
    return [(effect.hook, effect.room_id, effect.reason) for effect in told]


def callbacks(effects: list[e.Effect]) -> list[str]:
    return [effect.hook for effect in effects if isinstance(effect, e.Notify)]


def errors(effects: list[e.Effect]) -> list[str]:
    """The error of every callback, by its class."""
    return [type(effect.error).__name__ for effect in effects if isinstance(effect, e.Notify)]


def closes(effects: list[e.Effect]) -> list[tuple[int, int, str, bool]]:
    """(transport, code, reason, behind what was accepted for sending?) of every close frame."""
    return [(f.transport, f.code, f.reason, f.after_data) for f in effects if isinstance(f, e.SendClose)]


def aborted(effects: list[e.Effect]) -> list[int]:
    return [effect.transport for effect in effects if isinstance(effect, e.AbortTransport)]


def counted(effects: list[e.Effect], *methods: str) -> list[tuple[Any, ...]]:
    """(method, arguments…) of every metric, or of ``methods`` only."""
    return [
        (effect.method, *effect.arguments)
        for effect in effects
        if isinstance(effect, e.Count) and (not methods or effect.method in methods)
    ]


def ignored(effects: list[e.Effect]) -> list[str]:
    return [effect.because for effect in effects if isinstance(effect, e.Ignored)]
