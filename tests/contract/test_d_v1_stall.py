"""D2: a v1 client that reads and never acknowledges costs a bounded window, and a bounded time."""

from __future__ import annotations

import gc

import pytest

from resumehub import Connection, Message, SendBufferFull
from resumehub.outgoing.items import Gap
from tests.contract.peers import Gate, heard_all
from tests.contract.test_b_slow_handlers import nobody_reads
from tests.contract.test_d_received import MakeStage
from tests.contract.v1_client import Speaker, closing, dial
from tests.support import Stage, read

NO_ACK = (1008, "no $ack came while the window was full")


def shout(s: Stage, *payloads: object) -> None:
    for payload in payloads:
        s.hub.broadcast("lobby", Message("b", payload))


def gaps() -> list[Gap]:
    return [
        thing for thing in gc.get_objects() if type(thing) is Gap
    ]  # a dead weak reference has no __class__


def miss(peer: Speaker, count: int) -> None:
    """Read so many ``$missed``."""
    for _ in range(count):
        assert peer.read()[0] == "$missed"


# -- memory -----------------------------------------------------------------------------------


@pytest.mark.contract("D2")
def test_a_busy_room_costs_a_silent_client_one_gap(stage: MakeStage) -> None:
    """It is told of each message that it misses; what is kept of all that is one gap."""
    s = stage(send_buffer=2)
    peer = dial(s)
    before = len(gaps())
    s.say("u1", 1, 2)
    peer.take(2)
    for number in range(300):
        shout(s, number)
        miss(peer, 1)

    assert len(gaps()) - before == 1

    peer.drop()
    assert peer.resume(received=0).take(2) == [1, 2]


@pytest.mark.contract("D2")
def test_a_gap_is_one_from_the_front_to_the_end_of_a_resume(stage: MakeStage) -> None:
    """Missed before the drop, missed while away, missed behind the replay: told as one to the next one."""
    s = stage(send_buffer=1)
    peer = dial(s)
    s.say("u1", 1)
    peer.take(1)
    shout(s, 2, 3)
    miss(peer, 2)
    peer.drop()
    shout(s, 4)
    peer = peer.resume(received=0)
    shout(s, 5)
    heard = [peer.read() for _ in range(4)]
    assert [event for event, _ in heard] == ["n", "$missed", "$replayed", "$missed"]
    peer.drop()

    back = peer.resume(received=1)

    assert back.read() == ("$missed", {"from": 2, "to": 5})


@pytest.mark.contract("D2")
def test_gaps_are_seen_in_the_metrics_and_take_no_room(stage: MakeStage) -> None:
    """``used`` counts a gap as one message. A message that is acknowledged makes room for a message."""
    s = stage(send_buffer=2)
    peer = dial(s)
    s.say("u1", 1, 2)
    shout(s, 3, 4)
    peer.take(2)
    miss(peer, 2)
    with pytest.raises(SendBufferFull) as error:
        s.say("u1", 5)
    assert error.value.frames == 3
    peer.ack_for_sure(1)
    s.say("u1", 5)


# -- time -------------------------------------------------------------------------------------


def filled(s: Stage, connection_id: str = "u1") -> Speaker:
    """A client that has read a whole window and said nothing."""
    peer = dial(s, connection_id)
    s.say(connection_id, *range(s.hub.config.send_buffer))
    peer.take(s.hub.config.send_buffer)
    return peer


@pytest.mark.contract("D2", "C5")
@pytest.mark.parametrize("window", [1, 3], ids="a window of {}".format)
def test_a_window_that_stays_full_ends_the_transport(stage: MakeStage, window: int) -> None:
    """Not the session: a client that comes back, and says how far it got, goes on from there."""
    s = stage(send_buffer=window, stall_timeout=12, ping_interval=None)
    peer = filled(s)
    s.clock.advance(11.9)
    assert peer.nothing_came()

    s.clock.advance(0.1)

    assert closing(peer) == NO_ACK
    drop = s.recorder.wait_for("drop")
    assert (drop.code, drop.reason) == NO_ACK
    assert s.hub.get("u1").suspended
    back = peer.resume()
    assert back.read()[0] == "$replayed"
    s.say("u1", "more")
    assert back.take(1) == ["more"]


@pytest.mark.contract("D2")
def test_broadcasts_do_not_put_it_off(stage: MakeStage) -> None:
    s = stage(send_buffer=2, stall_timeout=12, ping_interval=None)
    peer = filled(s)
    for _ in range(11):
        s.clock.advance(1)
        shout(s, "more")
        miss(peer, 1)
    s.clock.advance(1)
    assert closing(peer) == NO_ACK


@pytest.mark.contract("D2")
def test_messages_of_its_own_do_not_put_it_off(stage: MakeStage) -> None:
    """A client that talks all the time could as well acknowledge."""
    s = stage(send_buffer=2, stall_timeout=12, ping_interval=None)
    peer = filled(s)
    for number in range(11):
        s.clock.advance(1)
        peer.say(number)
        heard_all(peer.ws)
    assert not s.hub.get("u1").suspended
    s.clock.advance(1)
    assert s.recorder.wait_for("drop").code == 1008


@pytest.mark.contract("D2")
def test_a_window_is_full_when_a_message_finds_no_room_in_bytes(stage: MakeStage) -> None:
    s = stage(send_buffer_bytes=3000, stall_timeout=12, ping_interval=None)
    peer = dial(s)
    s.say("u1", "x" * 1400, "y" * 1400)
    peer.take(2)
    s.clock.advance(20)
    with pytest.raises(SendBufferFull):
        s.say("u1", "z" * 1400)
    s.clock.advance(11.9)
    assert peer.nothing_came()
    s.clock.advance(0.1)
    assert closing(peer) == NO_ACK


@pytest.mark.contract("D2")
def test_a_client_that_acknowledges_in_time_is_never_cut(stage: MakeStage) -> None:
    """However slow it is, and though its window is full again at once."""
    s = stage(send_buffer=2, stall_timeout=12, ping_interval=None)
    peer = filled(s)
    for number in range(10):
        s.clock.advance(11.9)
        peer.ack_for_sure(number + 1)
        s.say("u1", number)
        peer.take(1)
    assert not s.hub.get("u1").suspended
    s.clock.advance(12)
    assert closing(peer) == NO_ACK


@pytest.mark.contract("D2")
def test_one_that_comes_back_to_a_full_window_has_its_time_again(stage: MakeStage) -> None:
    """And not for ever: what was kept for it fills its window at once."""
    s = stage(send_buffer=2, stall_timeout=12, ping_interval=None)
    peer = filled(s)
    peer.drop()
    s.clock.advance(20)
    peer = peer.resume(received=0)
    assert peer.take(2) == [0, 1]
    assert peer.read()[0] == "$replayed"
    s.clock.advance(11.9)
    assert peer.nothing_came()
    s.clock.advance(0.1)
    assert closing(peer) == NO_ACK


@pytest.mark.contract("D2", "B5")
def test_an_ack_that_waits_behind_messages_for_a_slow_handler_is_in_time(stage: MakeStage) -> None:
    """The hub reads no more while too many messages wait: what it has not read it cannot miss."""
    s = stage(send_buffer=2, stall_timeout=12, ping_interval=None)
    gate, ready = Gate(), list[bool]()

    @s.hub.on_message
    def slow(connection: Connection, message: Message) -> None:
        if not ready:
            ready.append(True)
            gate.hold()

    peer = filled(s)
    peer.say(0)
    gate.wait_reached()
    with nobody_reads(s, peer.ws):
        peer.ack()
        s.clock.advance(100)
        assert not s.hub.get("u1").suspended
        gate.open()
    heard_all(peer.ws)
    s.clock.advance(100)
    assert not s.hub.get("u1").suspended


@pytest.mark.contract("D2")
def test_by_default_it_is_as_long_as_the_grace_window(stage: MakeStage) -> None:
    s = stage(send_buffer=2, resume_window=7, ping_interval=None)
    peer = filled(s)
    s.clock.advance(6.9)
    assert peer.nothing_came()
    s.clock.advance(0.1)
    assert closing(peer) == NO_ACK


@pytest.mark.contract("D2")
def test_a_plain_client_has_no_window(stage: MakeStage) -> None:
    """What was written is done with; what it does not take is the write deadline's (C5)."""
    s = stage(send_buffer=2, stall_timeout=1, ping_interval=None)
    ws = s.open()
    s.recorder.wait_for("connect")
    s.say("u1", *range(9))
    s.clock.advance(100)
    assert not s.hub.get("u1").suspended
    assert [read(ws)[1] for _ in range(9)] == list(range(9))
