"""D2, D4: when the server acknowledges, and what it makes of the client's acknowledgements."""

from __future__ import annotations

import pytest

from resumehub import SendBufferFull
from resumehub.testing import client_frame
from tests.contract.peers import handled_all, heard_all, rock, until
from tests.contract.test_b_slow_handlers import numbers
from tests.contract.v1_client import Speaker, closing, dial, offer, raw
from tests.support import PATIENCE, text

# -- the server's -----------------------------------------------------------------------------


@pytest.mark.contract("D2")
def test_the_server_acknowledges_at_half_of_the_window_by_messages(stage) -> None:
    """Not before and not for each one: a client that fills its window can go on sending."""
    s = stage(send_buffer=8)
    peer = dial(s)
    peer.say(*range(9))
    assert [peer.read(), peer.read()] == [("$ack", {"received": 4}), ("$ack", {"received": 8})]
    assert peer.nothing_came()


@pytest.mark.contract("D2")
def test_the_server_acknowledges_at_half_of_the_window_by_bytes(stage) -> None:
    s = stage(send_buffer_bytes=2000)
    peer = dial(s)
    peer.say("short")
    peer.say("x" * 1000)
    assert peer.read() == ("$ack", {"received": 2})


@pytest.mark.contract("D2")
def test_the_server_acknowledges_a_second_after_the_first_message(stage) -> None:
    """A single message is not left in doubt for long, and later ones do not put it off."""
    s = stage()
    peer = dial(s)
    peer.say("a")
    handled_all(s, peer.ws)
    s.clock.advance(0.9)
    peer.say("b")
    handled_all(s, peer.ws)
    assert not peer.ws.has_message()

    s.clock.advance(0.1)

    assert peer.read() == ("$ack", {"received": 2})
    s.clock.advance(10)
    assert peer.nothing_came(), "there is nothing to say twice"


@pytest.mark.contract("D2")
def test_the_second_begins_anew_with_the_next_message(stage) -> None:
    s = stage()
    peer = dial(s)
    for number in (1, 2, 3):
        peer.say("n")
        handled_all(s, peer.ws)
        s.clock.advance(1.0)
        assert peer.read() == ("$ack", {"received": number})


@pytest.mark.contract("D2")
def test_what_hello_has_said_is_not_said_again(stage) -> None:
    s = stage()
    peer = dial(s)
    peer.say("a", "b")
    handled_all(s, peer.ws)
    peer.drop()

    back = peer.resume()

    assert back.hello["received"] == 2
    assert back.read()[0] == "$replayed"
    s.clock.advance(5)
    assert back.nothing_came()
    back.say("c")
    handled_all(s, back.ws)
    s.clock.advance(1)
    assert back.read() == ("$ack", {"received": 3})


@pytest.mark.contract("D2")
def test_what_cannot_be_decoded_counts(stage) -> None:
    """Else its client would send it again after every resume, for ever."""
    s = stage(send_buffer=6)
    peer = dial(s)
    peer.ws.send("no JSON")
    peer.ws.send(b"\x00")
    peer.say("a")
    assert [peer.read()[0], peer.read()[0]] == ["$rejected", "$rejected"]
    assert peer.read() == ("$ack", {"received": 3})
    assert s.hub.stats().undecodable == 2


@pytest.mark.contract("D2", "B4")
def test_a_message_whose_handler_raises_counts(stage, caplog) -> None:
    """It started: after the resume that follows it is not asked for again."""
    s = stage()
    s.hub.on_message(lambda connection, message: 1 / 0)
    peer = dial(s)
    peer.say("poison")
    assert closing(peer)[0] == 1011
    s.recorder.wait_for("drop")
    assert peer.resume().hello["received"] == 1


@pytest.mark.contract("D2", "B3")
def test_messages_that_wait_for_a_handler_when_the_connection_dies_do_not_count(stage, gate) -> None:
    """They are asked for again, and handled once; the one whose handler has started is not."""
    s = stage()
    s.hub.on_message(lambda connection, message: message.payload == 0 and gate.hold())
    peer = dial(s)
    peer.say(0, 1, 2)
    gate.wait_reached()

    back = peer.resume()  # a takeover: the client noticed first

    assert back.hello["received"] == 1
    gate.open()
    back.say(1, 2)
    s.recorder.wait_for("message", count=3)
    handled_all(s, back.ws)
    assert numbers(s) == [0, 1, 2]


@pytest.mark.contract("D2", "B5")
def test_acks_are_read_while_a_handler_is_stuck(stage, gate) -> None:
    """Else a handler that waits for room in the window would wait for ever."""
    s = stage(send_buffer=2)
    s.hub.on_message(lambda connection, message: gate.hold())
    peer = dial(s)
    s.say("u1", "a", "b")
    assert peer.take(2) == ["a", "b"]
    peer.say(0, 1, 2)
    gate.wait_reached()

    peer.ack()

    heard_all(peer.ws)
    s.say("u1", "c")
    assert [peer.read(), peer.read()] == [("$ack", {"received": 1}), ("n", "c")]
    back = peer.resume()  # what waited behind the stuck handler, though it was read, does not count
    assert back.hello["received"] == 1


# -- the client's -----------------------------------------------------------------------------


def with_three(s) -> Speaker:
    """A client that has got three messages, and acknowledged two."""
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    assert peer.take(3) == [1, 2, 3]
    peer.ack(2)
    return peer


MALFORMED = {
    "no payload": "null",
    "a number alone": "3",
    "a list": "[3]",
    "no number": "{}",
    "null": '{"received": null}',
    "a text": '{"received": "3"}',
    "a fraction": '{"received": 3.0}',
    "a truth": '{"received": true}',
    "negative": '{"received": -1}',
    "beyond reason": '{"received": 1' + "0" * 19 + "}",
    "another name": '{"Received": 3}',
}


@pytest.mark.contract("D2", "D4")
@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_ack_is_a_breach(stage, payload) -> None:
    """Close code 1008; the session waits, and the same client may come back and do better."""
    s = stage()
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    assert peer.take(3) == [1, 2, 3]

    peer.ws.send(raw("$ack", payload))

    assert closing(peer)[0] == 1008
    s.recorder.wait_for("drop")
    back = peer.resume(received=2)
    assert back.take(1) == [3]


@pytest.mark.contract("D2", "D4")
@pytest.mark.parametrize("number", [1, 0, 4, 10**9], ids=["lower", "nothing", "one more", "many more"])
def test_an_ack_that_cannot_be_is_a_breach(stage, number) -> None:
    """Lower than one before, or higher than what was sent: the client's count is wrong, and it is told."""
    s = stage()
    peer = with_three(s)

    peer.ack(number)

    assert closing(peer) == (1008, "an $ack that cannot be")
    assert s.recorder.wait_for("drop").code == 1008
    assert s.hub.get("u1").suspended
    back = peer.resume(received=3)
    assert back.hello["replay_from"] == 4
    back.ack_for_sure()


@pytest.mark.contract("D2", "D4")
def test_what_has_not_been_sent_on_this_connection_cannot_be_acknowledged(stage) -> None:
    """The client said that it lacks it; that an older connection carried it does not count."""
    s = stage()
    peer = dial(s)
    s.say("u1", "a")
    rock(s)
    assert len(peer.take(2)) == 2
    peer.drop()

    back = peer.resume(received=1)  # the stone is on its way, and does not get through unless it is read
    back.ack(2)

    s.recorder.wait_for("drop", count=2)
    assert closing(back)[0] == 1008


@pytest.mark.contract("D2", "D4")
def test_received_of_a_resume_counts_as_an_ack(stage) -> None:
    """The next must not be lower."""
    s = stage()
    peer = with_three(s)
    peer.drop()
    back = peer.resume(received=3)
    assert s.hub.stats().acknowledged == 3
    back.ack(2)
    assert closing(back)[0] == 1008


@pytest.mark.contract("D2")
def test_the_same_ack_twice_is_no_breach(stage) -> None:
    s = stage()
    peer = with_three(s)
    for _ in range(3):
        peer.ack_for_sure(2)
    assert s.hub.stats().acknowledged == 2


@pytest.mark.contract("D2", "D4")
def test_a_flood_of_acks_harms_nobody(stage) -> None:
    """No answer, no callback, no command to the hub but for the first."""
    s = stage()
    peer = with_three(s)
    peer.ws.send_raw(2000 * client_frame("text", text("$ack", {"received": 3}).encode()))
    assert peer.nothing_came()
    peer.say("still here")
    assert s.recorder.wait_for("message").payload == "still here"
    assert s.recorder.hooks() == ["connect", "message"]


@pytest.mark.contract("D2")
def test_a_client_that_never_acknowledges_is_held_up_and_not_lost(stage) -> None:
    """Its window fills, its messages are kept, and one $ack sets all right."""
    s = stage(send_buffer=3)
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    assert peer.take(3) == [1, 2, 3]
    s.clock.advance(15)
    for _ in range(3):
        with pytest.raises(SendBufferFull):
            s.say("u1", 4)
    assert not s.hub.get("u1").suspended
    peer.ack_for_sure()
    s.say("u1", 4)
    assert peer.take(1) == [4]


@pytest.mark.contract("D4")
def test_an_ack_on_a_connection_that_was_taken_over_is_ignored(stage) -> None:
    """Right or wrong: the old connection hears 4101 and not 1008, and nothing is let go."""
    s = stage()
    peer = dial(s)
    s.say("u1", 1, 2, 3)
    assert peer.take(3) == [1, 2, 3]
    back = peer.resume(received=1)
    peer.ack(3)
    peer.ack(99)
    peer.ws.send(raw("$ack", "[]"))

    assert closing(peer) == (4101, "superseded")
    assert back.take(2) == [2, 3]
    assert s.hub.stats().acknowledged == 1
    back.ack_for_sure()
    assert s.hub.stats().acknowledged == 3
    assert s.recorder.hooks() == ["connect", "drop", "restore"]


@pytest.mark.contract("D4", "D3")
def test_an_ack_that_is_read_late_proves_no_token(stage) -> None:
    """The old connection's $ack must not retire the token that the client needs if the new $hello is lost."""
    s = stage()
    peer = dial(s)
    peer.drop()
    first = peer.resume()
    s.open(query="&resume=true&received=0", subprotocols=offer(first.token))  # its $hello is lost
    first.ack()
    assert closing(first)[0] == 4101
    s.clock.advance(0)

    assert first.resume().hello["resumed"]


@pytest.mark.contract("D4")
def test_a_leave_of_an_older_connection_ends_nothing(stage) -> None:
    s = stage()
    peer = dial(s)
    back = peer.resume()
    peer.ws.close(1000, timeout=PATIENCE)
    s.say("u1", "here")
    assert back.read()[0] == "$replayed"
    assert back.take(1) == ["here"]
    until(lambda: not s.hub.get("u1").suspended)
