"""Numbers that threads send to clients, in lanes, and what has come of them: none is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resumehub import ConnectionClosed, ConnectionNotFound, HubClosed, HubUnavailable, Message
from resumehub.testing import ClusterPeer, MemoryCluster, Process, TransportClosed


@dataclass
class Lanes:
    """Numbers that threads send, each in a lane of its own, and what the calls have said.

    ``may_end``: whether a session may end in the scene though no process was killed.
    """

    cluster: MemoryCluster
    answered: dict[str, list[int]] = field(default_factory=dict)
    doubtful: set[tuple[str, int]] = field(default_factory=set)
    peers: dict[str, ClusterPeer] = field(default_factory=dict)
    texts: dict[str, list[Any]] = field(default_factory=dict)
    may_end: bool = False

    def call(self, lane: str, number: int, make: Callable[[Message], Any]) -> None:
        """Make a call with a numbered message."""
        try:
            make(Message("n", [lane, number]))
        except HubUnavailable as error:
            if error.sent is not False:
                self.doubtful.add((lane, number))
        except HubClosed:
            pass  # nothing was sent
        except (ConnectionClosed, ConnectionNotFound):
            assert self.may_end or self.cluster.deaths, (
                f"{lane} {number}: the session is gone, nobody ended it"
            )
        else:
            self.answered.setdefault(lane, []).append(number)

    def sender(self, process: Process, lane: str, count: int = 2, to: str = "alice") -> None:
        """An actor in the process that sends to one session."""

        def send() -> None:
            for number in range(count):
                self.call(lane, number, lambda message: process.hub.send(to, message))

        send.__name__ = f"sender_{lane}"
        process.actor(send)

    def broadcaster(self, process: Process, lane: str, count: int = 2) -> None:
        """An actor in the process that broadcasts to the lobby."""

        def broadcast() -> None:
            for number in range(count):
                self.call(lane, number, lambda message: process.hub.broadcast("lobby", message))

        broadcast.__name__ = f"broadcaster_{lane}"
        process.actor(broadcast)

    def read(self, name: str) -> list[Any]:
        """All that has come to a client, from the beginning."""
        came = self.texts.setdefault(name, [])
        if not self.has_left(name):
            came.extend(json.loads(text) for text in self.peers[name].received())
        return came

    def has_left(self, name: str) -> bool:
        """Whether the client has closed its end, and has not come back."""
        return self.peers[name].ws.sock.fileno() < 0

    def read_to_the_end(self, name: str) -> int:
        """Read what comes to a client until the server has ended its connection; the code. Waits for that."""
        came = self.read(name)
        try:
            while True:
                came.append(json.loads(self.peers[name].receive()))
        except TransportClosed as closed:
            return closed.code

    def check_all(self) -> None:
        """Nothing that was answered is lost, doubled or out of order at a client whose session lives."""
        for name, peer in self.peers.items():
            heard: dict[str, list[int]] = {}
            for said in self.read(name):
                if said["event"] == "n":
                    lane, number = said["payload"]
                    heard.setdefault(lane, []).append(number)
            for lane, numbers in heard.items():
                assert numbers == sorted(set(numbers)), f"{name} heard {numbers} of {lane}"
            if self.has_left(name):
                assert self.cluster.deaths, f"{name} was not let in again"
                continue
            if peer.closed() is not None:
                assert self.may_end or self.cluster.deaths, f"{name} was sent away: {peer.closed()}"
                continue
            for lane, numbers in self.answered.items():
                lost = [number for number in numbers if number not in heard.get(lane, [])]
                assert not lost, f"{name} never heard {lost} of {lane}, which were answered"
            for lane, numbers in heard.items():
                made_up = [
                    number
                    for number in numbers
                    if number not in self.answered.get(lane, []) and (lane, number) not in self.doubtful
                ]
                assert not made_up, f"{name} heard {made_up} of {lane}, which had no answer"
