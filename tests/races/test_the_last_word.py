"""A carried session's last word goes to the hub, which may move back to its sender at once.

The sender takes no hub while it runs callbacks of a session that it has given away. In every order of its
threads: once the word is out, it counts as said, so the hub that comes back is not refused.
"""

from __future__ import annotations

from typing import Any

from resumehub.cluster.door import Door
from resumehub.cluster.moves.move_source import MoveSource, _Attempt
from resumehub.server.session_release import LastWord
from resumehub.testing import Lab, explore
from resumehub.testing.strategies import Deepening


class SpokenLink:
    """A link that only says whether something was sent."""

    def __init__(self, lab: Lab) -> None:
        self._lock = lab.runtime.lock("the link")
        self.has_spoken = lab.runtime.event("a last word")

    def send(self, message: object) -> None:
        with self._lock:
            self.has_spoken.set()


def a_hub_comes_back_behind_the_word(lab: Lab) -> None:
    hub = lab.open()
    hub.runner.start()
    loop, link, nobody = hub.runner.loop, SpokenLink(lab), Any
    assert loop is not None
    source = MoveSource(hub.runner, Door(lab.runtime), nobody, {})
    attempt = _Attempt(source, link, loop, "a hub's life", nobody, 60.0)  # type: ignore[arg-type]
    attempt._words_left = 1
    source._attempts.append(attempt)

    @lab.actor
    def handler() -> None:
        attempt._say(LastWord("a life", None, None, ""))

    @lab.actor
    def target() -> None:
        link.has_spoken.wait()
        assert not source.runs_callbacks, "the hub is not let in"


def test_a_hub_that_comes_back_behind_the_last_word_is_let_in() -> None:
    explore(a_hub_comes_back_behind_the_word, Deepening(2), stop_at_locks=True)
