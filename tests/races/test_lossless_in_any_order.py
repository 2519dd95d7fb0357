"""A v1 client resumes, and resumes again, while both sides talk: each message comes once and in order.

The threads are the hub's own, played in the lab in one order after another, with a stop at every lock. The
client does what docs/reference/lossless.md tells it; another dial of it, which it has given up, comes late.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from resumehub import Message, ResumeHubError
from resumehub.testing import Lab, Peer, TransportClosed, UpgradeRefused, explore
from resumehub.testing.strategies import Deepening, Random

LOST = (UpgradeRefused, TransportClosed, OSError)


class Client:
    """A v1 client by the book: its count, what nobody has acknowledged, its token, the number of its dial."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.count = 0
        self.got: list[Any] = []
        self.missed = 0
        self.kept: list[int] = []
        self.sent = 0
        self.attempt = 0
        self.over = False
        self.peer = self._dial("")

    def _dial(self, query: str, *tokens: str) -> Peer:
        protocols = ["resumehub.v1", *(f"resumehub.token.{token}" for token in tokens)]
        return self.lab.dial(f"/?id=alice{query}", subprotocols=protocols)

    def greet(self) -> None:
        """Wait for the ``$hello``: nothing is said before."""
        with contextlib.suppress(*LOST):
            self._hear(self.peer.receive())

    def hear(self, peer: Peer | None = None) -> None:
        """Handle what has come: on the present connection, or on an older one, as a slow application does."""
        for text in (peer or self.peer).received():
            self._hear(text)

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        payload = message["payload"]
        match message["event"]:
            case "$hello":
                self.token = payload["token"]
                assert payload["replay_from"] == self.count + 1, "the server sends what the client lacks"
                self._forget(payload["received"])
                for said in self.kept:
                    self._push({"event": "n", "payload": said})
            case "$ack":
                self._forget(payload["received"])
            case "$missed":
                assert payload["from"] == self.count + 1, "a gap stands in its place"
                self.missed += payload["to"] - self.count
                self.count = payload["to"]
            case "n":
                self.count += 1
                self.got.append(payload)

    def say(self) -> None:
        self.sent += 1
        self.kept.append(self.sent)
        self._push({"event": "n", "payload": self.sent})

    def ack(self) -> None:
        self._push({"event": "$ack", "payload": {"received": self.count}})

    def resume(self) -> None:
        self.attempt += 1
        query = f"&resume=true&received={self.count}&attempt={self.attempt}"
        try:
            self.peer = self._dial(query, self.token)
        except UpgradeRefused:
            self.over = True
        except LOST:
            pass  # on the way

    def dial_late(self) -> None:
        """The first dial of all arrives now; nobody waits for what becomes of it."""
        with contextlib.suppress(*LOST):
            self._dial("&resume=true&received=0&attempt=0", self.token)

    def _forget(self, received: int) -> None:
        assert received <= self.sent, "the server acknowledges what was sent"
        self.kept = [number for number in self.kept if number > received]

    def _push(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self.peer.send(json.dumps(message))


def storm(lab: Lab) -> tuple[Client, list[Any], list[int]]:
    """A client that resumes twice while it and the application talk; what was sent, and what was handled."""
    hub = lab.open(ping_interval=None, send_buffer=3)
    handled: list[int] = []
    hub.on_message(lambda connection, message: handled.append(message.payload))
    client, sent = Client(lab), []
    lab.run_until_idle()
    client.hear()

    @lab.actor
    def application() -> None:
        for number in range(3):
            with contextlib.suppress(ResumeHubError):
                hub.send("alice", Message("n", number))
                sent.append(number)
            hub.broadcast("lobby", Message("n", f"b{number}"))

    @lab.actor
    def alice() -> None:
        client.say()
        client.resume()
        client.resume()  # the first $hello is lost
        client.greet()
        client.say()
        client.hear()
        client.ack()
        client.resume()

    return client, sent, handled


def and_a_late_dial(lab: Lab) -> None:
    client, sent, handled = storm(lab)

    @lab.actor
    def network() -> None:
        client.dial_late()

    @lab.at_end
    def nothing_is_lost_or_doubled() -> None:
        client.hear()
        lab.run_until_idle()
        assert not client.over
        assert client.peer.closed() is None, "the latest dial has the session"
        assert handled == [1, 2], f"the application handled {handled}"
        numbers = [payload for payload in client.got if isinstance(payload, int)]
        assert numbers == sorted(set(numbers)), f"the client got {client.got}"
        assert len(client.got) + client.missed == client.count == len(sent) + 3
        assert lab.hub.stats().dropped == client.missed


def and_a_slow_application(lab: Lab) -> None:
    """It handles what has come while the client dials, and the network cuts that dial short."""
    hub = lab.open(ping_interval=None)
    client = Client(lab)
    lab.run_until_idle()
    client.hear()
    for number in range(3):
        hub.send("alice", Message("n", number))
    lab.run_until_idle()
    before = client.peer

    @lab.actor
    def alice() -> None:
        client.resume()
        client.hear(before)
        client.resume()
        client.greet()

    @lab.actor
    def network() -> None:
        hub.cut("alice")

    @lab.at_end
    def nothing_is_lost_or_doubled() -> None:
        assert not client.over, "a count that can be is no reason to be turned away"
        client.hear()
        assert client.got == [0, 1, 2], f"the client got {client.got}"


def and_a_kick(lab: Lab) -> None:
    client, _, handled = storm(lab)

    @lab.actor
    def moderator() -> None:
        with contextlib.suppress(ResumeHubError):
            lab.hub.kick("alice")

    @lab.at_end
    def what_there_was_is_in_order() -> None:
        client.hear()
        assert client.over or client.peer.closed() is not None, "nobody comes back behind a kick"
        assert handled in ([], [1], [1, 2]), f"the application handled {handled}"
        numbers = [payload for payload in client.got if isinstance(payload, int)]
        assert numbers == sorted(set(numbers)), f"the client got {client.got}"


@pytest.mark.parametrize(
    "scenario",
    [and_a_late_dial, and_a_slow_application, and_a_kick],
    ids=["a late dial", "a slow application", "a kick"],
)
@pytest.mark.parametrize(
    "strategy", [Deepening(2), Random(seed=3, count=40)], ids=["few switches", "many switches"]
)
@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
def test_once_and_in_order_whatever_the_order_of_the_threads(
    scenario: Callable[[Lab], None], strategy: Any, share: bool
) -> None:
    """Two resumes, messages both ways, broadcasts into a full window, an acknowledgement."""
    explore(scenario, strategy, stop_at_locks=True, share=share, twice=False, max_schedules=40)
