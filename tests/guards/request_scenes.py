"""The scenes of the guards of requests, in either direction; see ``scenes.py``."""

from __future__ import annotations

import contextlib
import json

from resumehub import Connection, ConnectionClosed, Message
from resumehub.testing import Lab, TransportClosed


def two_answers(lab: Lab) -> None:
    """A request is deferred; two threads answer it at the same time."""
    hub = lab.open(ping_interval=None)
    deferred: list[Message] = []

    @hub.on_message
    def later(connection: Connection, message: Message) -> None:
        message.defer()
        deferred.append(message)

    alice = lab.dial("/?id=alice")
    alice.send('{"event": "ask", "id": "1"}')
    lab.run_until_idle()

    @lab.actor
    def replier() -> None:
        with contextlib.suppress(RuntimeError):
            deferred[0].reply("yes")

    @lab.actor
    def refuser() -> None:
        with contextlib.suppress(RuntimeError):
            deferred[0].refuse("no")

    @lab.at_end
    def one_answer() -> None:
        answers = [json.loads(said) for said in alice.received()]
        assert len(answers) == 1, f"the client hears {len(answers)} answers to one request"


def a_request_and_a_kick(lab: Lab) -> None:
    """A thread waits for the answer of a client that is kicked."""
    hub = lab.open(ping_interval=None)
    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    connection = hub.get("alice")
    assert connection is not None

    @lab.actor
    def asker() -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.request("who?", timeout=None)

    @lab.actor
    def application() -> None:
        hub.kick("alice")

    @lab.actor
    def client() -> None:
        with contextlib.suppress(TransportClosed):
            alice.receive()
