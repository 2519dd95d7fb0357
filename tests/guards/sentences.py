"""A schedule of the machine, told in sentences, and what each sentence does.

Some are things that happen ("transport 1 breaks"), some say what must be so by then ("u1 is gone"), and raise
``Wrong`` if it is not. The shell around the machine is that of ``tests/core/fake_shell.py``, which raises
``Wrong`` at any effect that makes no sense. Sessions and transports are numbered from 1 on, as they come.
The sentences about limits are in ``limit_sentences.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.drain import Drain
from resumehub.core.invariants import broken
from resumehub.core.resume import ResumeRequest
from resumehub.errors import HandlerError
from tests.core.fake_shell import Wrong
from tests.core.lives import life_of
from tests.guards import limit_sentences
from tests.guards.limit_sentences import LimitedShell

Act = Callable[..., object]
INF = float("inf")


class Stage(LimitedShell):
    """A world whose peers can be told how to behave, and that remembers what was asked for, in order."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[e.Effect] = []
        # What a look at any transport finds: a silent peer that takes nothing, and a thread that reads.
        self.heard = False
        # Whether each client has said anything within write_timeout of its attach.
        self.spoken = True
        self.reading_since: float | None = 0.0
        self.took_at = -INF
        self.blocked = True
        self.full_since: float | None = None
        self._pinged_at: dict[int, float] = {}
        self._commands = 0

    def do(self, command: c.Command) -> None:
        self._commands += 1
        insist(self._commands < 500, "it never comes to an end")
        super().do(command)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while not self.finished and (at := self.machine.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.do(c.Tick())
        self.now = until
        self.do(c.Tick())

    def _execute(self, effect: e.Effect) -> c.Observed | None:
        self.asked.append(effect)
        match effect:
            case e.SendPing(number):
                insist(not self.wires[number].aborted, f"a Ping is due on transport {number}, which is cut")
                insist(self.wires[number].close is None, f"a Ping is due on transport {number}, which closes")
                self._pinged_at[number] = self.now
            case e.SendAck(number):
                insist(not self.wires[number].aborted, f"an $ack is due on transport {number}, which is cut")
                insist(
                    self.wires[number].close is None, f"an $ack is due on transport {number}, which closes"
                )
            case e.Inspect(number, kind):
                pinged_at = self._pinged_at.get(number, -INF)
                heard = self.spoken if kind is DeadlineKind.FIRST_PING else self.heard
                return c.Observed(
                    number,
                    kind,
                    heard,
                    self.reading_since,
                    self.took_at,
                    self.blocked,
                    pinged_at,
                    full_since=self.full_since,
                    seen_at=self.now,
                )
        return super()._execute(effect)

    def resume(self, connection_id: str, epoch: int | None = None, **more: Any) -> None:
        if epoch is None:
            epoch = self.machine.sessions[connection_id].epoch
        self.register(connection_id, resume=True, seen=life_of(epoch), seen_room="lobby", **more)

    def claim(self, connection_id: str, how: str, said: str) -> None:
        """Connect or resume, and say more than the id: a list of what is in ``RESUMES``."""
        claim: dict[str, Any] = {"fresh_token": f"token {self.registrations + 1}"}
        for word in said.split(", "):
            name, _, value = word.partition(" ")
            claim |= RESUMES[name](value)
        of_the_command = ("peer_already_gone", "generated", "room_id")
        known = {name: claim.pop(name) for name in of_the_command if name in claim}
        knock = self.resume if how == "resumes" else self.register
        knock(connection_id, resume_request=ResumeRequest(**claim), **known)

    def fail(self, hook: str, epoch: int, generation: int) -> None:
        self.do(c.HandlerFailed(epoch, generation, hook, HandlerError(hook)))

    def late(self, seconds: float) -> None:
        """The hub thread is away; then it finds all that is due in one go."""
        self.now += seconds
        self.do(c.Tick())


def insist(holds: bool, sentence: str) -> None:
    if not holds:
        raise Wrong(sentence)


def state_of(stage: Stage, connection_id: str) -> str:
    session = stage.machine.sessions.get(connection_id)
    if session is None:
        return "gone"
    where = f" on transport {session.transport}" if session.transport is not None else ""
    return f"{session.state.value}{where}"


RESUMES: dict[str, Callable[[str], dict[str, Any]]] = {
    "v1": lambda _: {"v1": True},
    "token": lambda number: {"token": f"token {number}"},
    "nonce": lambda nonce: {"instance": nonce},
    "dial": lambda number: {"attempt": int(number)},
    "too": lambda _: {"received": 9, "beyond": True},
    "a": lambda _: {"received": 1, "first_available": 3},
    "hung": lambda _: {"peer_already_gone": True},
    "generated": lambda _: {"generated": True},
    "user": lambda name: {"user": name},
    "room": lambda name: {"room_id": name},
}
"""What a client says, by the first word of it: "v1", "token 2" (that of the second knock), "nonce mine",
"dial 3", "too many received", "a gap", "hung up already", "generated id", "user ada", "room attic"."""


def set_peers(**how: Any) -> Act:
    def act(stage: Stage) -> None:
        for name, value in how.items():
            setattr(stage, name, value(stage) if callable(value) else value)

    return act


def now(stage: Stage) -> float:
    return stage.now


def command(make: Callable[..., c.Command]) -> Act:
    def act(stage: Stage, *arguments: str) -> None:
        stage.do(make(*(int(word) if word.isdigit() else word for word in arguments)))

    return act


def same(what: Callable[..., object]) -> Act:
    """A sentence about how things stand: its last word is compared with what ``what`` finds."""

    def act(stage: Stage, *arguments: str) -> None:
        found = what(stage, *arguments[:-1])
        insist(str(found) == arguments[-1], f"it should be {arguments[-1]}, and is {found}")

    return act


HAPPENS: dict[str, Act] = {
    r"(u\d) connects": lambda stage, who: stage.register(who),
    r"(u\d) resumes": lambda stage, who: stage.resume(who),
    r"(u\d) resumes, and has hung up already": lambda stage, who: stage.resume(who, peer_already_gone=True),
    r"somebody resumes (u\d), having seen session (\d)": lambda stage, who, n: stage.resume(who, int(n)),
    r"(u\d) (connects|resumes), with (.+)": lambda stage, who, how, said: stage.claim(who, how, said),
    r"(u\d) connects, and was refused by the check": lambda stage, who: stage.register(
        who, refusal=(4403, "no")
    ),
    r"transport (\d) breaks": command(lambda n: c.PeerGone(n, reset=True)),
    r"transport (\d) breaks, seen at (\d+) s": lambda stage, n, at: stage_at(stage, float(at), int(n)),
    r"the client hangs up transport (\d)": command(lambda n: c.PeerGone(n, reset=False)),
    r"the client leaves on transport (\d)": command(lambda n: c.PeerClosed(n, 1000, "")),
    r"transport (\d) is given up": command(c.TransportAborted),
    r"a write to transport (\d) fails": command(c.WriteFailed),
    r"transport (\d) takes no more": command(c.WriteStalled),
    r"the window of transport (\d) is full": command(c.WindowFull),
    r"clients acknowledge nothing": set_peers(full_since=now),
    r"the close frame of transport (\d) is out": command(c.CloseSent),
    r"transport (\d) is released": command(c.Released),
    r"(u\d) is kicked": command(c.Kick),
    r"the hub is drained": lambda stage: stage.do(c.SetDrain(Drain.NEWCOMERS)),
    r"the application closes session (\d)": command(c.Close),
    r"session (\d) joins (\w+)": lambda stage, n, room: stage.do(c.JoinRoom(int(n), "", room)),
    r"session (\d) leaves (\w+)": lambda stage, n, room: stage.do(c.LeaveRoom(int(n), room)),
    r"(\w+) of session (\d) raises, on its transport (\d)": lambda stage, hook, epoch, generation: stage.fail(
        hook, int(epoch), int(generation)
    ),
    r"the check found a gap in session (\d), as of transport (\d)": lambda stage, n, g: stage.do(
        c.GapFound(stage.sessions[int(n)].connection_id, life_of(int(n)), int(g))
    ),
    r"the first \$ack comes in on transport (\d)": command(c.Acknowledged),
    r"transport (\d) owes an acknowledgement": lambda stage, n: stage.do(c.AckDue(int(n))),
    r"the hub shuts down": command(c.Shutdown),
    r"the hub aborts everything": command(c.AbortAll),
    r"(u\d) is sent a message": lambda stage, who: stage.send(who),
    r"(\d+) seconds pass": lambda stage, seconds: stage.wait(float(seconds)),
    r"the hub is away for (\d+) seconds": lambda stage, seconds: stage.late(float(seconds)),
    r"peers answer": set_peers(heard=True),
    r"newcomers say nothing": set_peers(spoken=False),
    r"nobody reads": set_peers(reading_since=None),
    r"somebody reads again": set_peers(reading_since=now),
    r"peers take a little": set_peers(took_at=now),
    r"peers take all": set_peers(blocked=False),
    **limit_sentences.HAPPENS,
}
"""What can happen, as patterns."""


def stage_at(stage: Stage, at: float, number: int) -> None:
    for effect in stage.machine.handle(c.PeerGone(number, reset=True), at):
        stage._execute(effect)


def cut(stage: Stage, number: str) -> str:
    return "cut" if stage.wires[int(number)].aborted else "open"


def close_code(stage: Stage, number: str) -> int | None:
    close = stage.wires[int(number)].close
    return close[0] if close else None


def rooms_of(stage: Stage, epoch: str) -> str:
    return f"in {', '.join(stage.machine.epochs[int(epoch)].rooms)}"


def window_end(stage: Stage, epoch: str) -> str:
    return f"{stage.machine.deadlines.armed_at(DeadlineKind.GRACE, int(epoch)):.0f}"


def label(effect: e.Effect) -> str:
    match effect:
        case e.Notify(hook=hook):
            return hook
        case e.AttachTransport(number):
            return f"AttachTransport {number}"
    return type(effect).__name__


def see_order(stage: Stage, first: str, then: str) -> None:
    order = [name for name in map(label, stage.asked) if name in (first, then)]
    insist(order.index(first) < order.index(then), f"the order is {', '.join(order)}")


HOLDS: dict[str, Act] = {
    r"(u\d) is (gone|suspended|connected on transport \d)": same(state_of),
    r"transport (\d) is (open|cut)": same(cut),
    r"transport (\d) gets close code (\d+)": same(close_code),
    r"session (\d) is (in .+)": same(rooms_of),
    r"the window of session (\d) ends at (\d+) s": same(window_end),
    r"session (\d) was told (.+)": same(lambda stage, n: ", ".join(stage.sessions[int(n)].callbacks)),
    r"(\d) messages wait for session (\d)": lambda stage, count, n: same(
        lambda stage, n: len(stage.sessions[int(n)].outbox)
    )(stage, n, count),
    r"the last session to end is (u\d)": same(
        lambda stage: [
            stage.sessions[x.epoch].connection_id for x in stage.asked if isinstance(x, e.EndSession)
        ][-1]
    ),
    r"the kick finds (somebody|nobody)": same(
        lambda stage: "nobody" if any(isinstance(x, e.NotFound) for x in stage.asked) else "somebody"
    ),
    r"(\w+) is asked for before (\w+(?: \d)?)": see_order,
    r"the peer of transport (\d) reads a close frame": lambda stage, n: insist(
        any(isinstance(entry, tuple) for entry in stage.wires[int(n)].log),
        f"it reads {stage.wires[int(n)].log}",
    ),
    **{pattern: same(what) for pattern, what in limit_sentences.FOUND.items()},
}
"""What must be so, as patterns."""


def say(stage: Stage, sentence: str) -> None:
    """Let it happen, or see that it is so."""
    for pattern, act in {**HAPPENS, **HOLDS}.items():
        if found := re.fullmatch(pattern, sentence):
            act(stage, *found.groups())
            return
    raise LookupError(f"no sentence reads {sentence!r}")


def is_claim(sentence: str) -> bool:
    return any(re.fullmatch(pattern, sentence) for pattern in HOLDS)


def failure_of(schedule: Sequence[str], *, invariants: bool = True, **options: Any) -> str:
    """Play a schedule to its end, and the hub to its own; the failure as a sentence, empty if none."""
    stage = Stage(**options)
    sentence = ""
    try:
        for sentence in schedule:
            say(stage, sentence)
            stage.check()
            if invariants and (wrong := broken(stage.machine)):
                raise Wrong("; ".join(wrong))
        sentence = "the hub shuts down"
        stage.finish()
        stage.check_end()
    except LookupError as error:
        if type(error) is LookupError:
            raise
        return f"{sentence}: {error!r}"
    except Exception as error:
        return f"{sentence}: {error if isinstance(error, Wrong) else repr(error)}"
    return ""
