"""The gallery of races keeps its word: each broken variant breaks every time, each fix holds in all orders,
and the pages and pictures show what really happens. (Exercises have their solutions in the files beside.)
"""

from __future__ import annotations

import re

import pytest

from resumehub.testing import ScheduleFailed, explore
from tests.test_docs import ROOT
from tests.test_docs_generated import TOOL

TOUR = TOOL._tour
RACES = TOUR.races()


def each_race(test):
    return pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)(test)


@each_race
def test_the_schedule_breaks_the_broken_variant_every_time(race):
    for _ in range(3):
        with pytest.raises(ScheduleFailed, match=re.escape(race.module.ERROR)) as caught:
            explore(race.module.broken, replay=race.module.SCHEDULE)
        assert caught.value.schedule == race.module.SCHEDULE, "what the page prints is what replays it"


@each_race
def test_an_exploration_that_knows_nothing_finds_it(race):
    """The failure that it finds is the documented one, not another."""
    print(f"{race.name}: found at schedule {race.found.number}")

    assert race.module.ERROR in str(race.found)


@each_race
def test_the_fix_holds_in_every_order(race):
    print(f"{race.name}: {race.survived.schedules} orders")

    assert race.survived.complete
    assert race.survived.schedules > 1, "there is something to explore"


@each_race
def test_the_schedule_breaks_nothing_once_it_is_fixed(race):
    explore(race.module.fixed, replay=race.module.SCHEDULE)


@each_race
def test_a_page_tells_it_whole(race):
    """Story, code, order, picture, fix, price, and an exercise whose solution is a test."""
    text = race.page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    solution = re.search(r"^The solution is `(tests/tour/test_\w+\.py)`\.$", text, re.MULTILINE)

    assert headings == HEADINGS
    assert all(source in text for source in race.module.SOURCES)
    assert "**What to look at**" in text
    assert "**What it costs**" in text
    assert solution is not None
    assert (ROOT / solution[1]).exists()


HEADINGS = [
    "What users saw",
    "The broken code",
    "The scene",
    "The schedule",
    "The fix",
    "In the toy",
    "In resumehub",
    "Exercise",
    "Where next",
]


@each_race
def test_a_broken_variant_is_short(race):
    """Some thirty lines: more is not read."""
    assert len(race.section("broken").splitlines()) <= 36


@each_race
def test_a_source_can_be_looked_up(race):
    """owner/repo#number, or owner/repo and a version for what a changelog says."""
    assert race.module.SOURCES
    for source in race.module.SOURCES:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+(#\d+| v\d+\.\d+\.\d+)", source)
        assert source in race.source


@pytest.mark.parametrize("name", TOOL.FILES)
def test_a_picture_is_drawn_from_its_schedule(name):
    path = ROOT / name

    assert path.read_text(encoding="utf-8") == TOOL.FILES[name](), "run tools/docs"


def test_no_picture_is_left_over():
    drawn = {ROOT / name for name in TOOL.FILES if name.startswith("docs/tour/")}

    assert set((ROOT / "docs" / "tour" / "pictures").iterdir()) == drawn
