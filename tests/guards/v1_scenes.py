"""The scenes of the guards that only a client of ``resumehub.v1`` needs; see ``scenes.py``."""

from __future__ import annotations

import contextlib
import json

from resumehub import Message
from resumehub.testing import Lab, Peer, TransportClosed, UpgradeRefused


def greeted(lab: Lab, **options: object) -> Peer:
    """Alice, who speaks v1, and has heard the $hello."""
    lab.open(ping_interval=None, **options)
    alice = lab.dial("/?id=alice", subprotocols=["resumehub.v1"])
    lab.run_until_idle()
    assert json.loads(alice.receive())["event"] == "$hello"
    return alice


def acks_of(alice: Peer) -> list[int]:
    """What the server says that it has handled, in the order in which it says so."""
    said = [json.loads(message) for message in alice.received()]
    return [message["payload"]["received"] for message in said if message["event"] == "$ack"]


def two_acks_at_once(lab: Lab) -> None:
    """An $ack is due by the clock, on the hub thread, when half of the window is full, on the reader's."""
    alice = greeted(lab, send_buffer=4)
    alice.send('{"event": "n"}')
    lab.run_until_idle()

    @lab.actor
    def time() -> None:
        lab.advance(1.0)

    @lab.actor
    def client() -> None:
        alice.send('{"event": "n"}')
        alice.send('{"event": "n"}')

    @lab.at_end
    def each_says_more_than_the_one_before() -> None:
        said = acks_of(alice)
        assert said == sorted(said), f"the acknowledgements go back: {said}"


def a_resume_with_nothing_kept(lab: Lab) -> None:
    """A client comes back, and there was nothing to keep for it."""
    alice = greeted(lab)
    token = lab.hub.get("alice")._session.credentials.tokens.newest
    alice.drop()
    lab.run_until_idle()
    back = comes_back(lab, token, 0)
    lab.run_until_idle()

    @lab.at_end
    def it_is_greeted_first() -> None:
        said = [json.loads(message)["event"] for message in back.received()]
        assert said == ["$hello", "$replayed"], f"the client is told {said}"


def comes_back(lab: Lab, token: str, received: int) -> Peer:
    protocols = ["resumehub.v1", f"resumehub.token.{token}"]
    return lab.dial(f"/?id=alice&resume=true&received={received}", subprotocols=protocols)


def a_broadcast_into_a_full_window(lab: Lab) -> None:
    """Two threads broadcast to a client whose window is full."""
    alice = greeted(lab, send_buffer=1)
    lab.hub.send("alice", Message("n", 1))

    @lab.actor
    def one() -> None:
        lab.hub.broadcast("lobby", Message("n", 2))

    @lab.actor
    def two() -> None:
        lab.hub.broadcast("lobby", Message("n", 3))

    @lab.at_end
    def it_is_told_what_it_missed() -> None:
        said = [json.loads(message) for message in alice.received()]
        gaps = [(m["payload"]["from"], m["payload"]["to"]) for m in said if m["event"] == "$missed"]
        assert gaps in ([(2, 3)], [(2, 2), (3, 3)]), f"of 2 and 3 the client is told {gaps}"


def an_ack_and_a_resume(lab: Lab) -> None:
    """An $ack is on its way when its client comes back, and says that it has handled less than that."""
    alice = greeted(lab)
    token = lab.hub.get("alice")._session.credentials.tokens.newest
    lab.hub.send("alice", Message("n", 1))
    lab.hub.send("alice", Message("n", 2))

    @lab.actor
    def network() -> None:
        alice.send('{"event": "$ack", "payload": {"received": 2}}')

    @lab.actor
    def client() -> None:
        with contextlib.suppress(UpgradeRefused, TransportClosed):
            comes_back(lab, token, 1)


def an_ack_behind_a_resume(lab: Lab) -> None:
    """An $ack comes in on a connection that was taken over."""
    alice = greeted(lab)
    token = lab.hub.get("alice")._session.credentials.tokens.newest
    comes_back(lab, token, 0)
    lab.run_until_idle()

    @lab.actor
    def network() -> None:
        alice.send('{"event": "$ack", "payload": {"received": 0}}')
