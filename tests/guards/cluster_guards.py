"""The guards of a hub that moves between processes: what comes early, and who stays."""

from __future__ import annotations

from resumehub.testing import MemoryCluster
from tests.cluster import memory_scenes
from tests.guards.shell_guard import ShellGuard

GUARDS = (
    ShellGuard(
        "a last word that comes early is kept",
        "server/hub_arrival.py",
        "            if self._early is not None:\n",
        "            if False:\n",
        "A session whose handler has returned in the old process would end as if that had been killed.",
        says="alice was sent away: (1011, 'handler error')",
        scene=memory_scenes.a_last_word_before_the_lock,
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
        scene=memory_scenes.a_close_behind_the_release,
        lab=MemoryCluster,
        replay="x",
    ),
)
