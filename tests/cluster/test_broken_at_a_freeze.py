"""A connection that has come to its end, which its reader has read and not told the hub, when a hub moves."""

from __future__ import annotations

import pytest

from resumehub import Connection, Hub, Message
from resumehub.incoming.transport_io import TransportIO
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import connect
from resumehub.transport.base import CloseReceived, DataReceived, Ended, Received
from tests.cluster.two_hubs import TwoHubs, clients, echo, payload
from tests.support import PATIENCE

pytestmark = pytest.mark.contract("F2", "F6")


class Scene:
    """Two hubs with one client. ``reads``: what its reader has read, and not handled, when it is stopped."""

    def __init__(self, *reads: Received) -> None:
        self.told: list[tuple[str, str]] = []
        self.two = TwoHubs(self._make)
        self._names = dict(zip(map(id, self.two.hubs), ("old", "new"), strict=True))
        [self.client] = clients(self.two, 1)
        [io] = self.two.loop(0).transports
        self._read_before_it_is_stopped(io, reads)

    def _make(self, runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime)
        hub.on_message(echo)

        @hub.on_transport_drop
        def dropped(connection: Connection, error: Exception) -> None:
            self.told.append((self._names[id(hub)], "drop"))

        @hub.on_disconnect
        def disconnected(connection: Connection, error: Exception | None) -> None:
            self.told.append((self._names[id(hub)], f"disconnect {error}"))

        return hub

    @staticmethod
    def _read_before_it_is_stopped(io: TransportIO, reads: tuple[Received, ...]) -> None:
        part = io.part

        def part_behind_them() -> None:
            io.part = part  # type: ignore[method-assign]
            part()
            io.backlog.extend(reads)

        io.part = part_behind_them  # type: ignore[method-assign]

    def comes_back(self) -> None:
        self.client.sock.close()
        self.client = connect(self.two.hub, "/?id=0&resume=true&received=0")

    def end(self) -> list[str]:
        """The client leaves, and the hubs close; in which hub on_transport_drop has run."""
        self.client.close()
        self.two.close()
        return [name for name, what in self.told if what == "drop"]


@pytest.mark.parametrize("reset", [False, True])
def test_its_session_moves_suspended_and_can_be_resumed(reset: bool) -> None:
    """Given a connection that has ended, when the hub moves, then there is one drop, and a resume."""
    scene = Scene(Ended(reset))
    departure = scene.two.move(PATIENCE)
    assert departure.staying == []
    assert departure.sessions == 1
    scene.two.broadcast("lobby", Message("n", "missed"))
    scene.comes_back()
    assert payload(scene.client) == "missed"
    assert scene.end() == ["new"]


def test_its_session_stays_suspended_when_the_move_fails() -> None:
    """Given the same, when the move is given up, then the drop is told, and the client comes back, here."""
    scene = Scene(Ended(False))
    departure = scene.two.departure()
    departure.release(PATIENCE)
    scene.two.freeze(departure)
    scene.two.thaw(departure, scene.two.hold(departure))
    scene.two.broadcast("lobby", Message("n", "missed"))
    scene.comes_back()
    assert payload(scene.client) == "missed"
    assert scene.end() == ["old"]


def test_a_client_that_has_said_goodbye_is_answered_and_its_session_ends() -> None:
    """Given a close frame behind a message, when the hub moves, then nothing is left to move."""
    scene = Scene(DataReceived('{"payload": "and"}', 18), CloseReceived(1000, ""))
    departure = scene.two.move(PATIENCE)
    assert departure.staying == []
    assert departure.sessions == 0
    assert scene.client.receive_close(PATIENCE) == (1000, "")
    scene.end()
    assert scene.told == [("old", "disconnect None")]
