"""The ways in which a session can end, each with what becomes of the frames that were sent to it.

A play leads a session of a hub, whose id and room it is given, to its end, and gives the columns of the
ledger that it must have filled. The hub has room for four messages and 1 MB, and no heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import Connection, Message
from resumehub.testing import UpgradeRefused, WebSocketClient
from tests.contract.peers import rock
from tests.contract.test_c_buffers import sized
from tests.contract.test_d_undelivered import acknowledge, open_v1
from tests.support import PATIENCE, Stage, read

Sums = dict[str, int]
Play = Callable[[Stage, str], Sums]


def turn_away(connection: Connection) -> None:
    """The on_connect that some of them need."""
    if connection.id.startswith("turn-away"):
        connection.send(Message("hello"))
        raise PermissionError


def suspended(s: Stage, who: str, query: str = "") -> WebSocketClient:
    """Two were written, two wait."""
    ws = s.open(who, room=who, query=query)
    s.say(who, 1, 2)
    s.drop(ws, who)
    s.say(who, 3, 4)
    return ws


def stuck(s: Stage, who: str) -> WebSocketClient:
    """One has begun, two wait behind it."""
    ws = s.open(who, room=who)
    rock(s, who)
    s.say(who, 1, 2)
    return ws


def expires(s: Stage, who: str) -> Sums:
    suspended(s, who)
    s.clock.advance(30)
    return {"written": 2, "expired": 2}


def is_kicked_while_away(s: Stage, who: str) -> Sums:
    suspended(s, who)
    s.hub.kick(who)
    return {"written": 2, "closed": 2}


def is_displaced_while_away(s: Stage, who: str) -> Sums:
    suspended(s, who)
    s.open(who, room=who, query="&instance=another").close()
    return {"written": 2, "closed": 2}


def meets_a_gap(s: Stage, who: str) -> Sums:
    ws = suspended(s, who)
    s.hub.broadcast(who, sized(5, (1 << 20) + 1))
    with pytest.raises(UpgradeRefused):
        s.resume(ws, received="2")
    return {"written": 2, "dropped": 1, "closed": 2}


def leaves(s: Stage, who: str) -> Sums:
    ws = s.open(who, room=who)
    s.say(who, 1, 2, 3)
    ws.close()
    return {"written": 3}


def resumes_without_a_count_and_leaves(s: Stage, who: str) -> Sums:
    s.resume(suspended(s, who)).close()
    return {"written": 4}


def resumes_with_a_count_and_leaves(s: Stage, who: str) -> Sums:
    s.resume(suspended(s, who), received="1").close()
    return {"acknowledged": 1, "written": 3}


def misses_broadcasts(s: Stage, who: str) -> Sums:
    suspended(s, who)
    for number in range(5, 10):
        s.hub.broadcast(who, Message("n", number))
    s.hub.kick(who)
    return {"written": 2, "dropped": 3, "closed": 4}


def is_kicked_and_reads_the_rest(s: Stage, who: str) -> Sums:
    ws = stuck(s, who)
    s.hub.kick(who)
    assert ws.receive_close(PATIENCE) == (1000, "kicked")
    return {"written": 3}


def is_kicked_and_never_reads(s: Stage, who: str) -> Sums:
    stuck(s, who)
    s.hub.kick(who)
    s.clock.advance(10)  # what waits is dropped
    s.clock.advance(10)  # what has begun is, with its transport
    return {"closed": 3}


def is_kicked_and_vanishes(s: Stage, who: str) -> Sums:
    ws = stuck(s, who)
    s.hub.kick(who)
    ws.drop()
    return {"closed": 3}


def is_turned_away(s: Stage, who: str) -> Sums:
    """Its on_connect has sent something, and then raises."""
    s.open(f"turn-away-{who}", room=who).receive_close(PATIENCE)
    return {"written": 1}


def is_nobody(s: Stage, who: str) -> Sums:
    """The hub made its id, so nothing is kept for it, and it ends with its transport."""
    ws = s.open("", room=who)
    s.hub.broadcast(who, Message("n", 1))
    name = s.hub.connections(who)[0].id
    ws.drop()
    s.recorder.wait_for("disconnect", name)
    s.hub.broadcast(who, Message("n", 2))
    return {"written": 1}


def acknowledges_and_expires(s: Stage, who: str) -> Sums:
    ws, _ = open_v1(s, who, room=who)
    s.say(who, 1, 2, 3)
    acknowledge(ws, 1)
    s.drop(ws, who)
    s.say(who, 4)
    s.clock.advance(30)
    return {"acknowledged": 1, "expired": 3}


def acknowledges_and_leaves(s: Stage, who: str) -> Sums:
    ws, _ = open_v1(s, who, room=who)
    s.say(who, 1, 2, 3)
    acknowledge(ws, 2)
    ws.close()
    return {"acknowledged": 2, "closed": 1}


def misses_broadcasts_and_is_told(s: Stage, who: str) -> Sums:
    ws, _ = open_v1(s, who, room=who)
    s.say(who, 1, 2, 3, 4)
    for number in (5, 6):
        s.hub.broadcast(who, Message("n", number))
    assert [read(ws)[0] for _ in range(5)] == ["n"] * 4 + ["$missed"]
    acknowledge(ws, 5)
    assert read(ws) == ("$missed", {"from": 6, "to": 6})
    acknowledge(ws, 6)
    ws.close()
    return {"acknowledged": 4, "dropped": 2}


ENDINGS: list[Play] = [
    expires,
    is_kicked_while_away,
    is_displaced_while_away,
    meets_a_gap,
    leaves,
    resumes_without_a_count_and_leaves,
    resumes_with_a_count_and_leaves,
    misses_broadcasts,
    is_kicked_and_reads_the_rest,
    is_kicked_and_never_reads,
    is_kicked_and_vanishes,
    is_turned_away,
    is_nobody,
    acknowledges_and_expires,
    acknowledges_and_leaves,
    misses_broadcasts_and_is_told,
]
