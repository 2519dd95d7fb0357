"""A failing schedule as a picture: the numbers of its sentences, and arrows for what was done to whom."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from resumehub.testing import ScheduleFailed, explore, lanes
from resumehub.testing.explorer import sentences
from resumehub.testing.lanes import Move, stretches
from resumehub.testing.tasks import Step

SVG = "{http://www.w3.org/2000/svg}"


def moves(*deeds, where="lock lock 1 of the application", among=("reader", "hub", "users")):
    (stretch,) = stretches([Step("reader", where, list(deeds))], among)
    return stretch.moves


def test_a_note_to_a_lane_is_an_arrow_and_any_other_note_is_a_remark():
    assert moves("note 'users: ada is here'") == [Move("reader", "users", "ada is here")]
    assert moves("note 'ada: is here'") == [Move("reader", "reader", "ada: is here")]


def test_commands_go_to_the_hub_and_threads_are_started():
    assert moves("put Kick ada") == [Move("reader", "hub", "Kick ada")]
    assert moves("start hub") == [Move("reader", "hub", "start", "begin")]
    assert moves("start callbacks") == [Move("reader", "reader", "start callbacks", "quiet")]


def test_a_stop_that_says_something_is_drawn_and_a_lock_only_where_there_is_nothing_else():
    assert moves(where="flush") == [Move("reader", "reader", "flush")]
    assert moves() == [Move("reader", "reader", "lock lock 1 of the application", "quiet")]
    assert moves("note 'done'") == [Move("reader", "reader", "done")]


def lost_update(lab):
    count = [0]

    def add():
        before = count[0]
        lab.note(f"count: read {before}")
        lab.pause("think")
        count[0] = before + 1
        lab.note(f"count: write <{count[0]}>")

    @lab.actor
    def one_half():
        add()

    @lab.actor
    def other_half():
        add()

    @lab.at_end
    def both_count():
        assert count == [2], "one update is lost"


@pytest.fixture
def failed():
    with pytest.raises(ScheduleFailed) as caught:
        explore(lost_update)
    return caught.value


def texts(picture, kind):
    return [
        text.text for text in ElementTree.fromstring(picture).iter(f"{SVG}text") if text.get("class") == kind
    ]


def test_the_picture_has_a_number_for_each_sentence(failed):
    """So that one can be read with the other."""
    picture = lanes.svg(failed.trace, lanes=["one_half", "other_half", "count"])

    told = [line for line in sentences(failed.trace) if "the test:" not in line]
    assert texts(picture, "number") == [str(number) for number in range(1, len(told) + 1)]


def test_lanes_stand_in_the_wanted_order_and_things_look_different_from_threads(failed):
    picture = lanes.svg(failed.trace, lanes=["count", "other_half"])

    assert texts(picture, "title thing") == ["count"]
    assert texts(picture, "title") == [None, "other half", "one half"]


def test_the_picture_is_a_document_whatever_the_words_are(failed):
    picture = lanes.svg(
        failed.trace,
        lanes=["count"],
        title='<"it" & that>',
        verdict="AssertionError: 1 < 2\nmore",
        look="write",
    )

    assert texts(picture, "verdict-text") == ["AssertionError: 1 < 2"]
    assert "write <1>" in texts(picture, "label")
    assert picture.count('<g class="end">') == 2
    assert picture == lanes.svg(
        failed.trace,
        lanes=["count"],
        title='<"it" & that>',
        verdict="AssertionError: 1 < 2",
        look="write",
    )
