"""D6: every frame that was accepted is in exactly one column of ``hub.stats()``, whatever became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import pytest

from resumehub import Message
from resumehub.message import Frame
from resumehub.outgoing.outbox import Outbox
from resumehub.testing import Lab
from tests.contract.ledger_scenarios import ENDINGS, Play, Sums, stuck, suspended, turn_away
from tests.contract.peers import Ledger, fill, rock, until
from tests.contract.test_c_buffers import sized
from tests.contract.test_d_received import MakeStage
from tests.contract.test_d_undelivered import acknowledge, open_v1, session
from tests.support import PATIENCE, Call, Stage, read

COLUMNS = ("acknowledged", "written", "dropped", "expired", "closed", "held")


def sums(s: Stage) -> Sums:
    """The columns that are not empty; their sum must be what was accepted."""
    stats = asdict(s.hub.stats())
    columns = {name: stats[name] for name in COLUMNS if stats[name]}
    assert stats["accepted"] == sum(columns.values()), stats
    return columns


def settled(s: Stage) -> Sums:
    """The same once the last transport has let go."""
    until(lambda: not s.hub.runner.loop.transports)
    return sums(s)


def agrees(ledger: Ledger, columns: Sums) -> None:
    """The metrics tell of the same losses."""
    told = Counter(reason for _, _, reason in ledger.of("message_dropped"))
    names = {"overflow": "dropped", "expired": "expired", "closed": "closed"}
    assert {names[reason]: count for reason, count in told.items()} == {
        name: count for name, count in columns.items() if name in names.values()
    }


def a_hub(stage: MakeStage, **options: Any) -> tuple[Stage, Ledger]:
    """Four messages fit; rooms are named after their only member."""
    ledger = Ledger()
    how = {"send_buffer": 4, "send_buffer_bytes": 1 << 20, "ping_interval": None}
    return stage(metrics=ledger, **(how | options)), ledger


@pytest.mark.contract("D6")
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda play: play.__name__.replace("_", " "))
def test_each_frame_is_in_one_column(stage: MakeStage, ending: Play) -> None:
    """And nothing is held once the session is over; the metrics say the same."""
    s, ledger = a_hub(stage)
    s.hub.on_connect(turn_away)

    expected = ending(s, "u1")

    assert settled(s) == expected
    agrees(ledger, expected)


@pytest.mark.contract("D6")
def test_the_sums_are_those_of_all_sessions(stage: MakeStage) -> None:
    """One after the other on one hub, and exact after each; every column has been reached."""
    s, ledger = a_hub(stage)
    s.hub.on_connect(turn_away)
    total = Counter[str]()
    for number, ending in enumerate(ENDINGS):
        total.update(ending(s, f"user-{number}"))
        assert settled(s) == total
        agrees(ledger, total)
    assert set(total) == set(COLUMNS) - {"held"}
    assert not s.hub.runner.loop.ledger_totals._open, "nothing is kept of sessions that are over"


# -- while sessions live --------------------------------------------------------------------------


@pytest.mark.contract("D6")
def test_what_is_not_settled_is_held(stage: MakeStage) -> None:
    """In the history of one, in the buffer of the other."""
    s, _ = a_hub(stage)
    assert s.hub.stats().accepted == 0
    ws = s.open("u1", room="a")
    s.say("u1", 1, 2)
    stuck(s, "u2")
    assert sums(s) == {"held": 5}

    again = s.resume(ws, received="1")
    assert read(again)[1] == 2
    assert sums(s) == {"acknowledged": 1, "held": 4}
    s.say("u1", *range(10))
    assert sums(s) == {"acknowledged": 1, "written": 7, "held": 7}


@pytest.mark.contract("D6", "D1")
@pytest.mark.parametrize(("who", "window"), [("", 30), ("u1", 0)], ids=["a generated id", "no resume window"])
def test_what_nobody_can_ask_for_again_is_not_held(stage: MakeStage, who: str, window: float) -> None:
    """It is done with when it is written."""
    s, _ = a_hub(stage, resume_window=window)
    s.open(who)
    s.hub.broadcast("lobby", Message("n", 1))

    assert sums(s) == {"written": 1}


@pytest.mark.contract("D6")
def test_a_broadcast_is_one_frame_for_each_receiver(stage: MakeStage) -> None:
    """For one it is written, for one it waits, and at one it is dropped alone."""
    s, ledger = a_hub(stage, send_buffer=1)
    for name in ("u1", "u2", "u3"):
        s.open(name)
    s.drop(s.clients[1], "u2")
    rock(s, "u3")

    s.hub.broadcast("lobby", Message("n", 1), exclude=["u1"])
    assert sums(s) == {"dropped": 1, "held": 2}
    s.hub.broadcast("lobby", Message("n", 2))
    assert sums(s) == {"dropped": 3, "held": 3}
    agrees(ledger, sums(s))


@pytest.mark.contract("D6")
def test_a_frame_that_was_refused_was_never_accepted(stage: MakeStage) -> None:
    s, _ = a_hub(stage, send_buffer=1)
    s.drop(s.open())
    s.say("u1", 1)
    with pytest.raises(Exception, match="full"):
        s.say("u1", 2)
    with pytest.raises(ValueError, match="send_buffer_bytes"):
        s.hub.send("u1", sized(3, (1 << 20) + 1))
    connection = session(s)
    s.hub.kick("u1")
    with pytest.raises(Exception, match="ended"):
        connection.send(Message("n", 4))

    assert sums(s) == {"closed": 1}


@pytest.mark.contract("D6", "C8")
def test_a_shutdown_settles_all_that_is_left(stage: MakeStage) -> None:
    """Of one who is away, of one who reads, of one who acknowledges, and of one who does not read."""
    s, ledger = a_hub(stage)
    suspended(s, "away")
    reader = s.open("reader")
    s.say("reader", 1, 2)
    proving, _ = open_v1(s, "proving")
    s.say("proving", 1, 2, 3)
    acknowledge(proving, 1)
    silent = s.open("silent", room="silent")
    fill(s, 4, "silent")  # some of these are written, one may have begun
    written = [call for call in ledger.of("message_sent") if call[1] == "silent"]

    closing = Call(lambda: s.hub.close(PATIENCE))
    for ws in (reader, proving):
        assert ws.receive_close(PATIENCE) == (1001, "server shutting down")
    silent.drop()
    assert closing.result().complete

    waited = 4 - len(written)
    assert settled(s) == {"acknowledged": 1, "written": 4 + len(written), "closed": 4 + waited}
    agrees(ledger, sums(s))


# -- the lab looks, too ---------------------------------------------------------------------------


@pytest.mark.contract("D6")
def test_the_lab_notices_a_frame_that_is_booked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every step: not only when somebody asks for the sums."""
    put = Outbox.put

    def twice(box: Outbox, frame: Frame) -> bool:
        box.ledger.accepted += 1
        return put(box, frame)

    monkeypatch.setattr(Outbox, "put", twice)
    lab = Lab()
    hub = lab.open(ping_interval=None)
    lab.dial("/?id=u1").drop()
    lab.run_until_idle()

    @lab.actor
    def application() -> None:
        hub.send("u1", Message("n", 1))

    with pytest.raises(AssertionError, match="accepted 2 frames, settled 0 and holds 1"):
        lab.finish()
    lab.abandon()
