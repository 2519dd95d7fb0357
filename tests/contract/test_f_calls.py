"""F3: the calls of one thread keep their order, in whatever process it runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import Message
from resumehub.testing import TransportClosed
from tests.cluster.calling import Pair, pair
from tests.support import PATIENCE, read

__all__ = ["pair"]


@pytest.mark.contract("F3", "C1", "C2")
@pytest.mark.parametrize("end", ["kick", "close"])
def test_the_calls_of_one_thread_keep_their_order(pair: Callable[..., Pair], end: str) -> None:
    """contract F3: sends, broadcasts and what reaches a user; and an end is behind them all."""
    p = pair()
    ws = p.stage.open("u1", query="&user=ada")
    connection = p.hub.get("u1")
    assert connection is not None
    for number in range(0, 100, 4):
        p.hub.send("u1", Message("n", number))
        p.hub.broadcast("lobby", Message("n", number + 1))
        p.hub.send_to_user("ada", Message("n", number + 2))
        connection.send(Message("n", number + 3))
    p.hub.kick("u1") if end == "kick" else connection.close()
    assert [read(ws) for _ in range(100)] == [("n", number) for number in range(100)]
    with pytest.raises(TransportClosed) as closed:
        ws.receive(PATIENCE)
    assert closed.value.code == 1000


@pytest.mark.contract("F3")
def test_the_order_holds_over_links_that_end(pair: Callable[..., Pair]) -> None:
    """contract F3: what has no answer is sent again, before anything newer, and is done once."""
    p = pair()
    ws = p.stage.open()
    link = p.link
    for number in range(60):
        p.hub.send("u1", Message("n", number))
        if number % 10 == 5:
            link.close()
            link = p.worker.link_to(p.holder)
    assert [read(ws) for _ in range(60)] == [("n", number) for number in range(60)]


@pytest.mark.contract("F3")
def test_a_join_takes_effect_before_the_next_broadcast_of_its_thread(pair: Callable[..., Pair]) -> None:
    """contract F3: as at home, join and leave are done when they return."""
    p = pair()
    ws = p.stage.open()
    connection = p.hub.get("u1")
    assert connection is not None
    p.hub.broadcast("news", Message("n", "before"))
    connection.join("news")
    p.hub.broadcast("news", Message("n", "within"))
    connection.leave("news")
    p.hub.broadcast("news", Message("n", "behind"))
    p.hub.send("u1", Message("n", "last"))
    assert [read(ws) for _ in range(2)] == [("n", "within"), ("n", "last")]
