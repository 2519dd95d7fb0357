"""The guards of the shell: races between threads, which the lab plays in one order after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resumehub.testing import Lab
from tests.guards import scenes
from tests.guards.guard import Guard


@dataclass(frozen=True)
class ShellGuard(Guard):
    """``scene`` fails without the guard, in the order ``replay``; ``locks``: others may come in at locks."""

    scene: Callable[[Lab], None] = scenes.a_message_and_a_kick
    replay: str = ""
    locks: bool = False


GUARDS = (
    ShellGuard(
        "a message starts while its transport is the session's",
        "connection.py",
        "if generation != self._generation:\n                return False",
        "if False:\n                return False",
        "A message that was read before a kick would be handled behind it.",
        says="on_message of 'alice' behind on_disconnect",
        scene=scenes.a_message_and_a_kick,
        locks=True,
        replay="x0001",
    ),
    ShellGuard(
        "who was turned away is turned away on every transport",
        "connection.py",
        "if generation > self._fenced:",
        "if True:",
        "The next transport of a client that may not enter would be let in until the hub hears of it.",
        says="somebody who was turned away",
        scene=scenes.a_refusal_and_a_resume,
        replay="x",
    ),
    ShellGuard(
        "nothing is put when the hub has left",
        "engine.py",
        "            if self._left:\n                return False",
        "            if False:\n                return False",
        "A caller would wait for the answer of a thread that is no more.",
        says="application never ends: it is about to wait for the hub's answer",
        scene=scenes.a_kick_and_a_close,
        replay="x011",
    ),
    ShellGuard(
        "looking whether the hub has left, and putting, is one step",
        "engine.py",
        "with self._gate:\n            if self._left:",
        "if self._left:\n            return False\n        with self._gate:\n            if False:",
        "The hub would leave in between, and the command lie there for ever.",
        says="application never ends: it is about to wait for the hub's answer",
        scene=scenes.a_kick_at_the_door,
        replay="x",
    ),
    ShellGuard(
        "the hub answers those who are left in its queue",
        "engine.py",
        "            if reply is not None:\n                if isinstance(command, c.Kick):",
        "            if False:\n                if isinstance(command, c.Kick):",
        "A caller whose command came behind the last one would wait for ever.",
        says="application never ends: it is about to wait for the hub's answer",
        scene=scenes.a_kick_behind_the_shutdown,
        replay="x",
    ),
    ShellGuard(
        "a socket that the hub never heard of closes itself",
        "engine.py",
        "if not self.put(replace(knock, transport=link.number)):",
        "if not self.put(replace(knock, transport=link.number)) and False:",
        "A descriptor would leak, and its client wait for an answer.",
        says="client never ends",
        scene=scenes.a_newcomer_and_a_close,
        replay="x0101",
    ),
    ShellGuard(
        "a socket that is left in the queue is closed",
        "engine.py",
        "if isinstance(command, c.Register):  # too late",
        "if False:  # too late",
        "A descriptor would leak, and its client wait for an answer.",
        says="client never ends",
        scene=scenes.a_newcomer_behind_the_shutdown,
        replay="x",
    ),
    ShellGuard(
        "one thread reads",
        "threads/reader.py",
        "if link.reader is not self._token:",
        "if False:",
        "Two threads would read one socket, and handle what they read in any order.",
        says="are handled in the order",
        scene=scenes.a_stand_in_and_a_return,
        locks=True,
        replay="x201",
    ),
    ShellGuard(
        "who has returned is not replaced",
        "engine.py",
        "            if not link.busy:\n                return",
        "            if False:\n                return",
        "The handler returns just before its reader is replaced: two threads would read one socket.",
        says="are handled in the order",
        scene=scenes.a_return_and_a_stand_in,
        locks=True,
        replay="x",
    ),
    ShellGuard(
        "callbacks of one id run one at a time",
        "threads/callbacks.py",
        "            if self._running:\n                return",
        "            if False:\n                return",
        "Two threads come to the same callbacks: on_disconnect would run beside on_message.",
        says="on_transport_drop of 'alice' while on_message of it is running",
        scene=scenes.a_slow_handler_and_a_resume,
        replay="x",
    ),
    ShellGuard(
        "the socket is closed when its writer has left it",
        "channel.py",
        "while self._writer_running:",
        "while False:",
        "The writer would go on with a descriptor that is somebody else's by then.",
        says="the socket is closed under its writer",
        scene=scenes.a_slow_reader_drops,
        replay="x",
    ),
    ShellGuard(
        "half a message is finished for the old transport",
        "channel.py",
        "self._frames_in_pieces = 0  # what is left",
        "pass  # what is left",
        "The rest would be taken for one that the next transport sends: the old one ends in the "
        "middle of a frame.",
        says="the old line says [(1007",
        scene=scenes.a_slow_reader_is_superseded,
        replay="x",
    ),
    ShellGuard(
        "half a message is whole again for the next transport",
        "channel.py",
        "        self._outbox.started = False\n        self._outbox = None",
        "        self._outbox = None",
        "A message that was begun on a dead transport would count as begun on none, and never be dropped.",
        says="0 messages are counted as dropped",
        scene=scenes.half_a_message_and_a_kick,
        replay="x1",
    ),
    ShellGuard(
        "one writer at a time",
        "channel.py",
        "if self._writer_running or self._broken:",
        "if self._broken:",
        "A sender would write beside the writer thread.",
        scene=scenes.a_slow_reader_drops,
        because="Both write the same pieces in order, under the same lock; it saves system calls "
        "that the peer's "
        "full buffer would refuse.",
    ),
    ShellGuard(
        "nothing is written behind a write error",
        "channel.py",
        "if self._writer_running or self._broken:",
        "if self._writer_running:",
        "Each further message would fail again, and be reported again.",
        scene=scenes.a_slow_reader_drops,
        because="The transport refuses it, too, and the machine knows already. It saves the attempts.",
    ),
)
