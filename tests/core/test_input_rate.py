"""How much a client may send: the buckets, as the reader of a transport asks them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from resumehub import RateLimit
from resumehub.core.input_rate import CONTROL_PER_SECOND, InputRate

# Powers of two, so that no sum is rounded.
TEN_SECONDS = RateLimit(messages_per_second=4, bytes_per_second=1024, burst=8)


def test_a_silent_client_may_send_what_is_allowed_in_the_burst_at_once():
    rate = InputRate(TEN_SECONDS, 100.0)
    assert [rate.message(0, 100.0) for _ in range(33)] == [False] * 32 + [True]


def test_a_pause_ends_when_the_client_may_send_for_a_tenth_of_a_second():
    """And not for each single message: that would be work for the hub thread."""
    rate = InputRate(TEN_SECONDS, 0.0)
    assert [rate.message(0, 0.0) for _ in range(33)][-1]
    assert rate.until() == 0.25 + 0.1


def test_with_a_short_burst_the_pause_is_shorter_too():
    rate = InputRate(RateLimit(messages_per_second=1000, burst=0.0625), 0.0)
    while not rate.message(0, 0.0):
        pass
    assert rate.until() == pytest.approx(0.001 + 0.0625 / 2, abs=0.001)


def test_bytes_count_as_well():
    rate = InputRate(TEN_SECONDS, 0.0)
    assert not rate.message(8 * 1024, 0.0)
    assert rate.message(1, 0.0)


def test_a_message_is_never_too_large_for_the_bucket():
    """It is handled, and then the client waits until it is paid for: nothing needs to be refused."""
    rate = InputRate(TEN_SECONDS, 0.0)
    assert rate.message(24 * 1024, 0.0)
    assert rate.until() == 24 - 8 + 0.1


def test_a_client_that_waits_gets_no_more_than_the_burst():
    rate = InputRate(TEN_SECONDS, 0.0)
    assert [rate.message(0, 10_000.0) for _ in range(33)] == [False] * 32 + [True]


@pytest.mark.parametrize(
    "limit", [RateLimit(None, 1024, 8), RateLimit(4, None, 8)], ids=["bytes", "messages"]
)
def test_what_has_no_limit_is_not_counted(limit):
    rate = InputRate(limit, 0.0)
    if limit.messages_per_second is None:
        assert not any(rate.message(0, 0.0) or rate.control(0, 0.0) for _ in range(1000))
    else:
        assert not rate.message(1 << 40, 0.0)


def test_control_frames_have_a_bucket_of_their_own():
    """An application that allows four messages a second does not slow acknowledgements down."""
    rate = InputRate(TEN_SECONDS, 0.0)
    while not rate.message(0, 0.0):
        pass
    assert [rate.control(0, 0.0) for _ in range(3)] == [False] * 3


def test_a_flood_of_control_frames_is_pressed_too():
    rate = InputRate(TEN_SECONDS, 0.0)
    assert not rate.control(0, 0.0, int(CONTROL_PER_SECOND) * 8)
    assert rate.control(0, 0.0)
    assert rate.until() > 0.1


def test_their_bytes_are_those_of_the_client():
    rate = InputRate(TEN_SECONDS, 0.0)
    assert rate.control(125 * 70, 0.0, 70)


def test_one_that_comes_from_another_process_has_no_new_burst():
    rate = InputRate(TEN_SECONDS, 50.0, moved=True)
    assert [rate.message(0, 50.0) for _ in range(5)] == [False] * 4 + [True]
    assert rate.until() == 50.25 + 0.1


def test_nor_more_than_its_burst():
    rate = InputRate(RateLimit(messages_per_second=4, burst=0.5), 50.0, moved=True)
    assert [rate.message(0, 50.0) for _ in range(3)] == [False, False, True]


def test_and_has_a_whole_one_when_it_has_been_silent_for_so_long():
    rate = InputRate(TEN_SECONDS, 50.0, moved=True)
    assert [rate.message(0, 58.0) for _ in range(33)] == [False] * 32 + [True]


def sizes(chance: random.Random) -> Iterator[int]:
    while True:
        yield chance.choice([0, 1, 64, 200, 5000])


@pytest.mark.parametrize("seed", range(5))
def test_over_any_time_a_client_sends_no_more_than_burst_and_rate(seed):
    """Whatever it sends and however it waits, beside one message that may overdraw each bucket."""
    chance = random.Random(seed)
    rate, now, sent, size_of = InputRate(TEN_SECONDS, 0.0), 0.0, [], sizes(chance)
    for _ in range(400):
        size = next(size_of)
        sent.append((now, size))
        if rate.message(size, now):
            now = rate.until()
        now += chance.choice([0.0, 0.0, 0.0, 0.125, 5.0])
    for first in range(0, 400, 7):
        for last in range(first + 1, 400, 13):
            lasted = sent[last - 1][0] - sent[first][0]
            assert last - first <= 4 * (8 + lasted) + 1 + 1e-6
            assert sum(size for _, size in sent[first : last - 1]) <= 1024 * (8 + lasted) + 5000 + 1e-6
