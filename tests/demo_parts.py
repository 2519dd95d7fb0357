"""What the tests of the demo share: an id, a request of its own page, and what stands in for a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from resumehub import Connection, Message

ID = "0123456789abcdef0123456789abcdef"
HERE = {"Origin": "http://localhost"}
"""What a browser adds to the requests of the demo's page."""


class Receiver:
    """Stands in for a connection: keeps what it is sent."""

    id = ID
    room_id = "r"

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.on_send: Callable[[], None] = lambda: None

    def send(self, message: Message) -> None:
        self.got.append(message)
        self.on_send()


def as_connection(receiver: Receiver) -> Connection:
    connection: Any = receiver
    assert isinstance(connection, Receiver)
    return connection  # type: ignore[return-value]
