"""Draws docs/explanation/pictures/move.svg: one move of a hub, from process to process. Used by ``_docs.py``.

The page docs/explanation/a-move.md says the same in words, number by number.
"""

from __future__ import annotations

from typing import Final

from resumehub.testing import lanes
from resumehub.testing.tasks import Step

CLIENT, OLD, NEW, WORKER = "a client", "old process", "new process", "another worker"


def _step(lane: str, *deeds: str) -> Step:
    """``deeds``: what happens in the lane, or "lane: what" for an arrow to another one."""
    return Step(lane, "take turn", [f"note {deed!r}" for deed in deeds])


STEPS: Final = [
    _step(OLD, "told to stop: on_stop", "each session: on_release, data is encoded", f"{NEW}: who, and data"),
    _step(NEW, "builds the sessions; calls nothing"),
    _step(CLIENT, f"{OLD}: a message: its handler waits"),
    _step(
        OLD, f"{CLIENT}: a broadcast", "freeze: no send, no broadcast starts", f"{NEW}: state, open sockets"
    ),
    _step(NEW, "locks byte 1", f"{OLD}: held"),
    _step(WORKER, f"{OLD}: hub.send: waits"),
    _step(OLD, f"{NEW}: commit", "lets go of byte 0", f"{WORKER}: moved"),
    _step(NEW, "locks byte 0: it is the hub", "on_start, on_adopt"),
    _step(WORKER, f"{NEW}: hub.send, the same again"),
    _step(NEW, f"{CLIENT}: the next byte, on the same socket", "the message that waited: on_message"),
    _step(OLD, "a worker now; ends"),
]


def drawing() -> str:
    """The picture."""
    return lanes.svg(STEPS, lanes=[CLIENT, OLD, NEW, WORKER], title="A hub moves to another process")
