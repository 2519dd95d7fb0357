"""docs/reference/clients.md: its table is what ``tools/clients`` has kept, and four examples play again.

Those four need only what the other tests need. An example is a process; the hub, its clock and the relay
that cuts are in this one.
"""

from __future__ import annotations

import sys

import pytest

from tests.test_docs_generated import text_of
from tools.dialling.examples import EXAMPLES, FOLDER, ROOT, Example
from tools.dialling.page import faults_of, kept
from tools.dialling.story import play

NAMES = ["Python: websockets", "Python: websocket-client", "Node: ws", "Node: global WebSocket"]


def test_every_example_was_played_and_did_what_it_should() -> None:
    """An example that is added is played before the page speaks of it."""
    assert [row["client"] for row in kept()] == [example.name for example in EXAMPLES]
    assert [fault for row in kept() for fault in faults_of(row)] == []


def test_every_example_is_on_the_page() -> None:
    page = text_of("reference/clients.md")
    files = sorted(path.name for path in FOLDER.iterdir() if path.is_file())
    assert files == sorted({example.file for example in EXAMPLES})
    for file in files:
        assert f"[Example](../clients/{file})" in page


@pytest.mark.contract("A.410", "A2", "A5")
@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.name in NAMES], ids=lambda one: one.name)
def test_an_example_still_plays_its_story(example: Example) -> None:
    """It talks, waits as long as it was asked to, resumes, misses nothing, hears the verdict, and stops."""
    place = example.found(sys.executable, str(ROOT / "tests/js/node_modules"))
    if place.missing:
        pytest.skip(f"{place.missing}: run tools/test")

    row = {"client": example.name} | play(place.command, place.folder, place.environment)

    assert list(faults_of(row)) == [], "\n".join(row["said"])


def test_a_client_that_does_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that changes its ways does not go unnoticed: here is one that never says a word."""
    monkeypatch.setattr("tools.dialling.story.PATIENCE", 0.1)
    client = "import sys; sys.stdin.read()"

    row = {"client": NAMES[0]} | play((sys.executable, "-c", client), ROOT, {})

    assert list(faults_of(row)) == ["Python: websockets: it does not say 'open'"]
