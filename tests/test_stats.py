"""``hub.stats()``: what a hub holds now, whoever asks, and whatever the hub thread does meanwhile."""

from __future__ import annotations

import dataclasses

import pytest

from resumehub import Hub, Message, SystemClock
from resumehub.cluster.greetings import Greeting
from resumehub.core.drain import Drain
from resumehub.session.plain_values import PlainValueError, dump, load
from resumehub.session.seen_session import Found
from resumehub.stats import Stats
from resumehub.testing import UpgradeRefused
from tests.contract.peers import Gate, Ledger, until
from tests.support import Call, text


def test_a_hub_that_nobody_has_used_holds_nothing() -> None:
    """And it has no thread, since it has not begun."""
    assert Hub().stats() == Stats()


def test_sessions_by_state_rooms_users_and_threads(stage) -> None:
    one = stage(ping_interval=None)
    one.open("here")
    gone = one.open("away", room="attic")
    one.recorder.wait_for("connect", count=2)
    one.drop(gone, "away")
    stats = one.hub.stats()
    assert (stats.sessions, stats.connected, stats.suspended, stats.rooms) == (2, 1, 1, 2)
    assert stats.threads == len(one.hub.runner.loop.thread_group.alive()) > 1
    assert stats.role == ""


def test_what_waits_for_a_client_is_counted_in_messages_and_bytes(stage) -> None:
    one = stage(ping_interval=None)
    gone = one.open()
    one.recorder.wait_for("connect")
    one.drop(gone)
    one.say("u1", "a", "bcd")
    stats = one.hub.stats()
    expected = sum(len(text("n", payload).replace(" ", "")) for payload in ("a", "bcd"))
    assert (stats.held, stats.held_bytes) == (2, expected)


def test_what_waits_for_a_handler_is_counted_in_messages_and_bytes(stage) -> None:
    """A handler is slow, and its client goes on."""
    one, gate = stage(ping_interval=None), Gate()
    one.hub.on_message(gate.hold)
    ws = one.open()
    said = [text("n", payload) for payload in ("first", "second", "third!")]
    for message in said:
        ws.send(message)
    gate.wait_reached()
    try:
        until(lambda: one.hub.stats().parked == 2)
        assert one.hub.stats().parked_bytes == len(said[1]) + len(said[2])
    finally:
        gate.open()
    one.recorder.wait_for("message", count=3)
    until(lambda: one.hub.stats().parked == 0)


def test_refusals_are_counted_by_reason_also_before_the_hub_has_begun(stage) -> None:
    one = stage(max_sessions=1, on_full="refuse", ping_interval=None)
    for _ in range(2):
        with pytest.raises(UpgradeRefused):
            one.open("nobody", query="&resume=true")
    one.open()
    with pytest.raises(UpgradeRefused):
        one.open("u2")
    assert one.hub.stats().refused == {"gone": 2, "max_sessions": 1}


def test_a_hub_thread_that_hangs_is_seen_by_the_lag_and_holds_nobody_up(stage) -> None:
    """Its collector does not return. The thread that asks gets its answer all the same."""
    ledger = Ledger()
    one = stage(clock=SystemClock(), metrics=ledger, ping_interval=None)
    one.open()
    one.recorder.wait_for("connect")
    until(lambda: one.hub.stats().lag == 0.0)
    gate = ledger.held["u1"] = Gate()
    kick = Call(lambda: one.hub.kick("u1"))
    gate.wait_reached()
    try:
        first = one.hub.stats().lag
        until(lambda: one.hub.stats().lag > first)
    finally:
        gate.open()
        kick.result()
    until(lambda: one.hub.stats().lag == 0.0)


def test_stats_go_over_a_link_as_they_are() -> None:
    stats = Stats(sessions=2, refused={"gone": 3, "max_sessions": 1}, lag=0.25, role="hub")
    assert load(Stats, dump(stats)) == stats
    assert dump(dataclasses.replace(stats, refused={"max_sessions": 1, "gone": 3})) == dump(stats)
    with pytest.raises(PlainValueError, match="is not of type int"):
        load(Stats, dump(dataclasses.replace(stats, refused={"gone": "3"})))


def test_a_snapshot_does_not_change(stage) -> None:
    """What has been counted stays as it was, also the refusals."""
    one = stage(ping_interval=None)
    with pytest.raises(UpgradeRefused):
        one.open("nobody", query="&resume=true")
    before = one.hub.stats()
    one.open()
    one.recorder.wait_for("connect")
    one.hub.broadcast("lobby", Message("n"))
    with pytest.raises(UpgradeRefused):
        one.open("nobody", query="&resume=true")
    assert (before.sessions, before.accepted, before.refused) == (0, 0, {"gone": 1})
    assert one.hub.stats().refused == {"gone": 2}


@pytest.mark.contract("F7")
def test_what_release_0_2_0_does_not_know_is_not_told_to_it() -> None:
    """A link to it would end: of what it gets it must know each field."""
    assert b"drain" not in dump(Stats(draining="newcomers"))
    assert load(Stats, dump(Stats(draining="newcomers"))) == Stats()
    assert b"drain" not in dump(Found(None, False, Drain.ALL))
    assert not Greeting.from_bytes(b'{"process":"a","pid":1,"kind":"sync","application":""}').hears_drains
