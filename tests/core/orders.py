"""Orders of events, as words: what each word does, how an order is played, how a broken one is told.

To replay one by hand: ``python -m tests.core.orders drop, resume, kick``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from resumehub.core import commands as c
from resumehub.core.invariants import broken
from resumehub.core.machine import Machine
from resumehub.core.resume import ResumeRequest
from resumehub.errors import HandlerError
from tests.core.fake_shell import FakeShell, Wrong

OWN: dict[str, Any] = {"resume_request": ResumeRequest(user="ada")}
OTHER: dict[str, Any] = {"resume_request": ResumeRequest(user="bob")}
"""Whose the client is: the user of the first session, or another one that has its id."""

SEEN: dict[str, Any] = {"resume": True, "seen": "life 1", "seen_room": "lobby"}
"""What the pre-checks of the resumes saw: the first session of u1."""


def late_failure(hook: str, generation: int) -> c.HandlerFailed:
    return c.HandlerFailed(1, generation, hook, HandlerError(hook))


WORDS: dict[str, Callable[[FakeShell], None]] = {
    "drop": lambda shell: shell.do(c.PeerGone(1, reset=True)),
    "expire": lambda shell: shell.wait(30),
    "resume": lambda shell: shell.register(**SEEN, **OWN),
    "second resume": lambda shell: shell.register(**SEEN, **OWN),
    "send": lambda shell: shell.send(),
    "kick": lambda shell: shell.do(c.Kick("u1")),
    "an operator expires it": lambda shell: shell.do(c.Expire("u1", "life 1")),
    "kick the user": lambda shell: kick_user(shell),
    "close": lambda shell: shell.do(c.Close(1)),
    "connect": lambda shell: shell.register(**OWN),
    "newcomer": lambda shell: shell.register("u2"),
    "other user resumes": lambda shell: shell.register(**SEEN, **OTHER),
    "other user connects": lambda shell: shell.register(**OTHER),
    "newest drops": lambda shell: shell.do(c.PeerGone(shell.present(), reset=False)),
    "leave": lambda shell: shell.do(c.PeerClosed(1, 1000, "")),
    "newest leaves": lambda shell: shell.do(c.PeerClosed(shell.present(), 1005, "")),
    "on_connect fails": lambda shell: shell.do(late_failure("on_connect", 1)),
    "on_message fails": lambda shell: shell.do(late_failure("on_message", 1)),
    "shutdown": lambda shell: shell.do(c.Shutdown()),
    "end all": lambda shell: end_all(shell),
    "abort all": lambda shell: shell.do(c.AbortAll()),
    "join": lambda shell: shell.do(c.JoinRoom(1, "u1", "news")),
    "leave the room": lambda shell: shell.do(c.LeaveRoom(1, "news")),
    "broadcast": lambda shell: shell.broadcast("lobby", "news"),
    "writing fails": lambda shell: shell.do(c.WriteFailed(1)),
    "released": lambda shell: release_aborted(shell),
}
"""What can happen to u1, whose first session (epoch 1, transport 1) is connected."""

OFTEN = [word for word in WORDS if word != "an operator expires it"]
"""Those of which all orders of three are played: what an operator does is like "expire", and earlier."""

WITHOUT_ROOMS = [
    word for word in OFTEN if word not in ("join", "leave the room", "broadcast", "kick the user", "end all")
]


def kick_user(shell: FakeShell) -> None:
    shell.do(c.KickUser("ada"))
    left = [epoch for epoch, one in shell.sessions.items() if one.user == "ada" and not one.ended]
    if left and not shell.finished:
        raise Wrong(f"the sessions {left} of a user who was kicked go on")


def end_all(shell: FakeShell) -> None:
    shell.do(c.EndAll())
    left = [epoch for epoch, one in shell.sessions.items() if not one.ended]
    if left:
        raise Wrong(f"the sessions {left} go on, though all were ended")


def release_aborted(shell: FakeShell) -> None:
    for number, wire in shell.wires.items():
        if wire.aborted:
            shell.do(c.Released(number))


def play(
    order: Sequence[str], machine: type[Machine] = Machine, generated: bool = False, **options: Any
) -> FakeShell:
    """Play an order to its end; raises Wrong with the story if anything does not hold after a step.

    ``generated``: the hub made the id of the first session.
    """
    shell = FakeShell(machine, **options)
    shell.register(generated=generated, **OWN)
    told = 0
    try:
        for told, word in enumerate(order, 1):  # noqa: B007
            WORDS[word](shell)
            _check(shell)
        told = len(order) + 1
        shell.finish()
        shell.check_end()
    except AssertionError as error:
        raise Wrong(story(order, told, str(error))) from error
    return shell


def _check(shell: FakeShell) -> None:
    if sentences := broken(shell.machine):
        raise Wrong("; ".join(sentences))
    shell.check()


def story(order: Sequence[str], told: int, sentence: str) -> str:
    """A broken order as sentences, with the line that replays it."""
    nth = {1: "1st", 2: "2nd", 3: "3rd"}.get(told, f"{told}th")
    where = f"after {order[told - 1]!r}, the {nth} step" if told <= len(order) else "at the end"
    words = ", ".join(order)
    return f"{where} of [{words}]: {sentence}\nreplay: python -m tests.core.orders {words}"


def play_all(orders: Iterable[Sequence[str]], **options: Any) -> int:
    """Play them all; give how many there were."""
    count = 0
    for order in orders:
        play(order, **options)
        count += 1
    return count


def first_broken(orders: Iterable[Sequence[str]], machine: type[Machine], **options: Any) -> str:
    """The story of the first order that breaks a naive machine; empty if none does."""
    for order in orders:
        try:
            play(order, machine, **options)
        except Wrong as wrong:
            return str(wrong)
    return ""


if __name__ == "__main__":
    played = play([word.strip() for word in " ".join(sys.argv[1:]).split(",")])
    for effect_hooks in played.hooks.values():
        print(effect_hooks)
