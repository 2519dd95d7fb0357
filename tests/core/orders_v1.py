"""Orders of events around a client of ``resumehub.v1`` that does everything right: it must lose nothing.

Its shell is that of ``fake_shell.py``, with an outbox that is wound back by a resume, and with the
client itself: what it knows (its token, its count, the number of its next dial) and what it has read. Once
it has dialed it takes no notice of older connections; a ``$hello`` reaches it only if it reads.

To replay one by hand: ``python -m tests.core.orders_v1 resume, late ack, second resume``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.invariants import broken
from resumehub.core.machine import Machine
from resumehub.core.resume import ResumeRequest
from tests.core.fake_shell import FakeShell, Wrong


class V1FakeShell(FakeShell):
    """u1 (epoch 1) is connected on transport 1, has read its ``$hello``, and believes the line dead."""

    def __init__(self, machine: type[Machine] = Machine, **options: Any) -> None:
        super().__init__(machine, **options)
        self.greetings: dict[int, str] = {}  # the token of the $hello on each transport
        self.counts: dict[int, int] = {}  # up to where the client was on each
        self.attempts: dict[int, int] = {}
        self.given_up: set[int] = set()  # dials whose answer nobody waits for
        self.token = ""
        self.handled: list[int] = []
        self.line: int | None = None  # the connection that the client has now
        self.closes: list[tuple[int, int]] = []
        self.full: dict[int, float] = {}  # since when the client's window is full, on which transport
        self.register(resume_request=ResumeRequest(v1=True, fresh_token="token 1", user="ada"))
        self.token = self.greetings[1]
        self.late_dial = self._claim()

    # -- what the client does ---------------------------------------------------------------

    def resume(self) -> None:
        """Dial, with all that the client knows now; whether it hears the answer is another matter."""
        self._arrive(self._claim())
        self.line = self.registrations if self.registrations in self.greetings else None

    def late(self) -> None:
        """The first dial of all, which the client has given up, arrives."""
        self.given_up.add(self.registrations + 1)
        self._arrive(self.late_dial)

    def hear(self) -> None:
        """Read all that has come, the ``$hello`` first, and acknowledge."""
        if self.line is None:
            return
        wire = self.wires[self.line]
        self.token = self.greetings[self.line]
        frames = [entry for entry in wire.log if isinstance(entry, int)]
        due = self.sessions[1].accepted[self.counts[self.line] :]
        insist(frames == due[: len(frames)], f"{frames} came on transport {self.line}, where {due} was due")
        self.handled = self.sessions[1].accepted[: self.counts[self.line] + len(frames)]
        if wire.close is None and not wire.aborted:
            self.full.pop(self.line, None)
            self.do(c.Acknowledged(self.line))

    def thief(self) -> None:
        """Another user has found the token, and comes with it."""
        self.register(resume_request=replace(self._claim(), user="bob"), **self._seen)

    _seen: ClassVar[dict[str, Any]] = {"resume": True, "seen": "life 1", "seen_room": "lobby"}

    def fill(self) -> None:
        """The application has sent a whole window, which is full until the client acknowledges some of it."""
        number = self.present()
        if number in self.greetings:
            self.full.setdefault(number, self.now)
            self.do(c.WindowFull(number))

    def _claim(self) -> ResumeRequest:
        attempt = max(self.attempts.values(), default=0) + 1
        handled = len(self.handled)
        return ResumeRequest(v1=True, token=self.token, attempt=attempt, received=handled, user="ada")

    def _arrive(self, resume_request: ResumeRequest) -> None:
        number = self.registrations + 1
        self.attempts[number] = resume_request.attempt or 0
        more = replace(resume_request, fresh_token=f"token {number}")
        self.register(resume_request=more, **self._seen)

    # -- effects ----------------------------------------------------------------------------

    def _execute(self, effect: e.Effect) -> c.Observed | None:
        match effect:
            case e.AttachTransport(number, epoch, _, credentials, received) if credentials.tokens is not None:
                self.greetings[number] = credentials.tokens.newest
                self.counts[number] = received or 0
                if received is not None:
                    self._rewind(epoch, received)
            case e.SendClose(number, code):
                self.closes.append((number, int(code)))
                silent = self.now - self.full.get(number, self.now)
                insist(
                    code != 1008 or silent >= self.machine.rules.stall_timeout,
                    f"transport {number} of a client that counts right is closed 1008",
                )
            case e.Inspect(number, DeadlineKind.WINDOW as kind):
                full_since = self.full.get(number)
                return c.Observed(number, kind, False, 0.0, float("-inf"), False, 0.0, full_since)
        return super()._execute(effect)

    def _rewind(self, epoch: int, received: int) -> None:
        session = self.sessions[epoch]
        session.written = session.accepted[:received]
        session.outbox = session.accepted[received:]

    # -- what must hold ---------------------------------------------------------------------

    def check(self) -> None:
        super().check()
        for number, code in self.closes:
            awaited = number in self.attempts and number not in self.given_up
            insist(code != 4403 or not awaited, f"transport {number} of the client gets 4403")
        session = self.machine.sessions.get("u1")
        if session is None or session.epoch != 1:
            return
        silent = self.now - self.full.get(session.transport or 0, self.now)
        insist(silent <= self.machine.rules.stall_timeout, f"transport {session.transport} was never cut")
        admitted = [attempt for number, attempt in self.attempts.items() if number in self.greetings]
        present = self.attempts.get(session.transport or 0, 0)
        insist(
            session.transport is None or present == max(admitted, default=0),
            f"the dial {present} has the session, and not the latest one",
        )


def insist(holds: bool, sentence: str) -> None:
    if not holds:
        raise Wrong(sentence)


WRONG = ResumeRequest(v1=True, token="guessed", fresh_token="never", received=0)

WORDS: dict[str, Callable[[V1FakeShell], None]] = {
    "drop": lambda shell: shell.do(c.PeerGone(1, reset=True)),
    "newest drops": lambda shell: shell.do(c.PeerGone(shell.present(), reset=False)),
    "resume": lambda shell: shell.resume(),
    "second resume": lambda shell: shell.resume(),
    "late dial": lambda shell: shell.late(),
    "hear": lambda shell: shell.hear(),
    "hear again": lambda shell: shell.hear(),
    "late ack": lambda shell: shell.do(c.Acknowledged(1)),
    "owe an ack": lambda shell: shell.do(c.AckDue(shell.present())),
    "send": lambda shell: shell.send(),
    "stranger": lambda shell: shell.register(
        resume_request=WRONG, resume=True, seen="life 1", seen_room="lobby"
    ),
    "thief": lambda shell: shell.thief(),
    "plain client": lambda shell: shell.register(),
    "fill": lambda shell: shell.fill(),
    "a second": lambda shell: shell.wait(1),
    "expire": lambda shell: shell.wait(30),
    "kick": lambda shell: shell.do(c.Kick("u1")),
    "gap of the first": lambda shell: shell.do(c.GapFound("u1", "life 1", 1)),
}
"""What can happen to u1 and its client."""


def play(order: Sequence[str], machine: type[Machine] = Machine, **options: Any) -> V1FakeShell:
    """Play an order to its end; raises Wrong with the order and the line that replays it."""
    words = ", ".join(order)
    told = "at the beginning"
    shell = V1FakeShell(machine, **options)
    try:
        for told in order:
            WORDS[told](shell)
            insist(not (sentences := broken(shell.machine)), "; ".join(sentences))
            shell.check()
        told = "the end"
        shell.finish()
        shell.check_end()
    except AssertionError as error:
        raise Wrong(f"after {told!r} of [{words}]: {error}\n{_replay(words)}") from error
    return shell


def _replay(words: str) -> str:
    return f"replay: python -m tests.core.orders_v1 {words}"


def play_all(orders: Iterable[Sequence[str]], **options: Any) -> int:
    """Play them all; give how many there were."""
    count = 0
    for order in orders:
        play(order, **options)
        count += 1
    return count


def first_broken(orders: Iterable[Sequence[str]], machine: type[Machine]) -> str:
    """The story of the first order that breaks a naive machine; empty if none does."""
    for order in orders:
        try:
            play(order, machine)
        except Wrong as wrong:
            return str(wrong)
    return ""


if __name__ == "__main__":
    played = play([word.strip() for word in " ".join(sys.argv[1:]).split(",")])
    print(played.handled, played.closes)
