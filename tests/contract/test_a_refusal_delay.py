"""A5b: with ``&reject=close`` the close frame waits for a moment behind the 101, by the hub's clock."""

from __future__ import annotations

import select
from collections.abc import Callable

import pytest
import simple_websocket

from resumehub.runtime.system import SystemRuntime
from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import Client
from tests.contract.test_a_reject_close import LONGEST_DELAY
from tests.contract.test_a_second_look import late
from tests.support import PATIENCE, Call

GONE = (4100, "session expired")


class Luck(SystemRuntime):
    """A system whose random numbers the test knows."""

    def __init__(self, chance: float) -> None:
        super().__init__(reuse=True, share=True)
        self._chance = chance

    def chance(self) -> float:
        return self._chance


def refused(hub_server: HubServer) -> Client:
    """A client that has its 101 and waits for the verdict."""
    return hub_server.knock("id=u1&resume=true&reject=close").websocket()


@pytest.mark.contract("A5b", "A2")
@pytest.mark.parametrize("chance, delay", [(0.0, 0.125), (1.0, 0.375)])
def test_the_close_frame_waits_behind_the_101(
    hub_server: Callable[..., HubServer], chance: float, delay: float
) -> None:
    """The socket is open and answers pings meanwhile; a client that redials at once is slowed down."""
    slow = hub_server(_runtime=Luck(chance))
    ws = refused(slow)

    slow.clock.advance(delay - 0.001)
    ws.ping()
    slow.clock.advance(0.001)

    assert ws.closed() == GONE


@pytest.mark.contract("A5b", "A2")
def test_nothing_stands_right_behind_the_101(hub_server: Callable[..., HubServer]) -> None:
    """Some clients lose what comes in one piece with it: the verdict is written when the clock says so."""
    server = hub_server()
    for _ in range(5):
        ws = refused(server)
        assert ws.reply.body == b""
        assert select.select([ws.sock], [], [], 0)[0] == []
        server.clock.advance(LONGEST_DELAY)
        assert ws.closed() == GONE


@pytest.mark.contract("A5b", "A2")
def test_a_client_that_loses_what_stands_behind_the_101_hears_it(
    wsgi_server: Callable[..., HubServer],
) -> None:
    """simple-websocket's own client does: it hears 1005 instead, about every other time."""
    server = wsgi_server()
    for _ in range(5):
        client = simple_websocket.Client(
            f"ws://127.0.0.1:{server.server.port}/?id=u1&resume=true&reject=close"
        )
        server.clock.advance(LONGEST_DELAY)
        with pytest.raises(simple_websocket.ConnectionClosed) as closed:
            client.receive(PATIENCE)
        assert (closed.value.reason, closed.value.message) == GONE
        client.thread.join(PATIENCE)


@pytest.mark.contract("A5b")
def test_the_wait_is_random() -> None:
    """Clients that were cut off together do not come back together."""
    chances = {SystemRuntime().chance() for _ in range(20)}
    assert len(chances) > 1
    assert all(0 <= chance < 1 for chance in chances)


@pytest.mark.contract("A5b")
@pytest.mark.parametrize("options, delay", [({"refusal_delay": 0}, 0), ({"refusal_delay": 4}, 6)])
def test_the_delay_is_an_option(
    hub_server: Callable[..., HubServer], options: dict[str, float], delay: float
) -> None:
    """0 sends it at once."""
    server = hub_server(_runtime=Luck(1.0), **options)
    ws = refused(server)
    if delay:
        server.clock.advance(delay - 0.001)
        ws.ping()
        server.clock.advance(0.001)

    assert ws.closed() == GONE


@pytest.mark.contract("A5b", "A2")
def test_sockets_that_wait_are_capped(
    hub_server: Callable[..., HubServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of refused clients holds no more sockets than before, and a plain status costs none."""
    monkeypatch.setattr("resumehub.server.transport_table.MAX_REFUSALS", 3)
    flooded = hub_server()
    waiting = [refused(flooded) for _ in range(3)]

    assert flooded.ask("id=u1&resume=true&reject=close").status == 410
    flooded.clock.advance(1)
    assert [ws.closed() for ws in waiting] == [GONE] * 3


@pytest.mark.contract("A5b", "A2")
@pytest.mark.parametrize("end", ["leaves", "drops"])
def test_a_client_that_goes_meanwhile_is_not_waited_for(
    hub_server: Callable[..., HubServer], end: str
) -> None:
    """Its socket goes at once, without the clock."""
    left = hub_server()
    ws = refused(left)

    {"leaves": ws.leave, "drops": ws.drop}[end]()

    left.wait_for_releases()


@pytest.mark.contract("A5b", "C8")
def test_a_hub_that_closes_tells_them_first(hub_server: Callable[..., HubServer]) -> None:
    """hub.close waits for no clock: the verdict goes out as it is."""
    closing = hub_server()
    ws = refused(closing)

    report = Call(lambda: closing.hub.close(PATIENCE))
    assert ws.closed() == GONE
    ws.leave()

    assert report.result().complete


@pytest.mark.contract("A5b", "A5")
def test_a_refusal_by_the_hub_itself_does_not_wait(wsgi_server: Callable[..., HubServer]) -> None:
    """It is a race that hardly ever happens, and who loses it has not asked for a close code."""
    full = wsgi_server(max_sessions=1)

    ws = late(full, lambda: full.open("u1"), "id=u2")

    assert ws.closed()[0] == 4503
