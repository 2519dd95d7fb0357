"""The maps of the package are right: of the ways through it.

``test_signposts.py`` holds that the files and names on them are there.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PLACE = re.compile(r"`([\w/]+\.py)`,\s`([\w.]+)`")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section_of(page: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    _, found, rest = text_of(page).partition(f"\n## {heading}\n")
    assert found, f"{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


# -- ways -----------------------------------------------------------------------------

WAYS = "docs/explanation/the-way-of-a-message.md"


def steps_of(heading: str) -> list[str]:
    """The numbered calls of one way."""
    return re.findall(r"^\d+\. .+(?:\n   .+)*", section_of(WAYS, heading), re.MULTILINE)


@pytest.mark.parametrize("way", ["in", "out", "of a broadcast", "of an upgrade"])
def test_a_way_never_goes_back_to_a_folder_that_it_has_left(way: str) -> None:
    """Each step names the function that is called; folders follow the bytes."""
    places = [PLACE.search(step) for step in steps_of(f"The way {way}")]
    assert len(places) > 3
    assert all(places), "each step begins with a file and a function"
    folders = [Path(place[1]).parent.as_posix() for place in places if place]
    entered = [folders[0], *(after for before, after in pairwise(folders) if after != before)]
    assert len(entered) == len(set(entered)), " → ".join(entered)
