"""The guards of the shell that only a client of ``resumehub.v1`` needs; see ``shell_guards.py``."""

from __future__ import annotations

from tests.guards import v1_scenes
from tests.guards.shell_guard import ShellGuard

GUARDS = (
    ShellGuard(
        "acknowledgements go forward",
        "outgoing/transport_writer.py",
        "            if received <= self.acked:\n                return",
        "            if False:\n                return",
        "Of two threads that acknowledge at once, the slower one knows less.",
        says="the acknowledgements go back: [3, 1]",
        scene=v1_scenes.two_acks_at_once,
        locks=True,
        replay="x.7.101",
    ),
    ShellGuard(
        "saying that it is acknowledged, and acknowledging, is one step",
        "outgoing/transport_writer.py",
        "            self.acked = received\n            if self._outbox",
        "            self.acked = received\n        with self._lock:\n            if self._outbox",
        "A greater number overtakes a smaller one in between.",
        says="the acknowledgements go back",
        scene=v1_scenes.two_acks_at_once,
        locks=True,
        replay="x.8.101",
    ),
    ShellGuard(
        "a gap is announced",
        "outgoing/transport_writer.py",
        "flushed.unannounced = self._outbox.unannounced()",
        "pass",
        "The client would never be told what it missed, and nothing behind the gap would come.",
        says="of 2 and 3 the client is told []",
        scene=v1_scenes.a_broadcast_into_a_full_window,
        replay="x",
    ),
    ShellGuard(
        "the announcement is of the gap as it is now",
        "outgoing/transport_writer.py",
        "if frame is not None and (gap.first, gap.last) == span:",
        "if frame is not None:",
        "While the codec worked, another broadcast was dropped.",
        scene=v1_scenes.a_broadcast_into_a_full_window,
        because="A gap that grows is replaced by another one, and a part is cut off only of one that was "
        "written. It costs a comparison, and needs neither argument.",
    ),
    ShellGuard(
        "nothing is let go while a resume is decided",
        "outgoing/outbox.py",
        "        if self._history_held:  # a resume",
        "        if False:  # a resume",
        "The outbox would be wound back to what it has no more.",
        says="could not handle Register",
        scene=v1_scenes.an_ack_and_a_resume,
        locks=True,
        replay="x001.5.1",
    ),
    ShellGuard(
        "an $ack of an old connection lets nothing go",
        "outgoing/transport_writer.py",
        "self._outbox.acknowledge(received) if self._outbox is not None else None",
        "self._outbox.acknowledge(received)",
        "The connection carries no session any more.",
        says="reading transport 1 failed",
        scene=v1_scenes.an_ack_behind_a_resume,
        replay="x",
    ),
    ShellGuard(
        "$hello does not queue behind $replayed",
        "outgoing/frame_queue.py",
        " and not other.placed:",
        ":",
        "Both are there before anything is written; the first message on a connection must be $hello.",
        says="the client is told ['$replayed', '$hello']",
        scene=v1_scenes.a_resume_with_nothing_kept,
        replay="x",
    ),
)
