"""The guards of a hub that moves between processes: what comes early, and who stays."""

from __future__ import annotations

from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes import askers, dials, handlers, parking
from tests.guards.shell_guard import ShellGuard

GUARDS = (
    ShellGuard(
        "a last word that comes early is kept",
        "server/hub_arrival.py",
        "            if self._early is not None:\n",
        "            if False:\n",
        "A session whose handler has returned in the old process would end as if that had been killed.",
        says="alice was sent away: (1011, 'handler error')",
        scene=handlers.a_last_word_before_the_lock,
        lab=MemoryCluster,
        replay="x",
    ),
    ShellGuard(
        "who was released and stays is adopted again",
        "server/hub_departure.py",
        "release.undo(partial(self._go_on, release))  # behind an on_release comes an on_adopt",
        "release.undo(release.session.serial_queue.let_go)",
        "on_disconnect would run for a session that on_release has taken off the application's tables.",
        says="on_disconnect of 'alice' behind on_release",
        scene=handlers.a_close_behind_the_release,
        lab=MemoryCluster,
        replay="x",
    ),
    ShellGuard(
        "a session loses a connection that has broken before it moves",
        "server/hub_departure.py",
        "broken = self._broken_ones(sessions)",
        "broken = list[int]()",
        "The move would end a session that can be resumed: its connection can't be moved.",
        says="on_transport_drop ran for []",
        scene=dials.a_connection_that_breaks_at_a_freeze,
        lab=MemoryCluster,
        replay="x",
    ),
    ShellGuard(
        "an answer that comes while the hub leaves is given where the hub is then",
        "cluster/calls/call_server.py",
        "        if door.enter_nowait():\n            try:\n                # In the",
        "        if door.is_shut:\n"
        "            self.settle(settled)\n"
        "            return\n"
        "        if door.enter_nowait():\n            try:\n                # In the",
        "The books have gone with the hub, which would never hear of it: the asker would wait in vain.",
        says="RequestInDoubt",
        scene=askers.an_answer_while_the_hub_leaves,
        lab=MemoryCluster,
        replay="x",
    ),
    ShellGuard(
        "parked sessions are taken before they are read",
        "cluster/parking/park_file.py",
        "        disk.rename(folder.parked, folder.adopting)\n    except FileNotFoundError:",
        "        pass\n    except FileNotFoundError:",
        "Who adopts may be killed half-way: the next process would go on with the same sessions once more.",
        says="is left, to be adopted again",
        scene=parking.a_killed_adoption,
        lab=MemoryCluster,
        replay="x",
    ),
)
