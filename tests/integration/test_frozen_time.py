"""An application that tells the time by ``datetime.now()`` and a hub on ``FreezegunClock`` agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask, abort, request
from freezegun import freeze_time

from resumehub import Hub, Message, NoopMetrics
from resumehub.testing import FreezegunClock, UpgradeRefused, WebSocketClient, connect
from tests.support import PATIENCE, Recorder, read

NOON = datetime(2030, 1, 1, 12)


class Diary(NoopMetrics):
    """When each session ended, by the application's own clock. (Collectors run on the hub's thread.)"""

    def __init__(self) -> None:
        self.ended: dict[str, datetime] = {}

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        self.ended[connection_id] = datetime.now()


class Shop:
    """A Flask application whose tokens expire after a minute; sessions wait 30 seconds."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.hub = hub = Hub(resume_window=30.0, clock=FreezegunClock(), metrics=self.diary)
        self.recorder = Recorder(hub)
        self.tokens: dict[str, datetime] = {}
        self.clients: list[WebSocketClient] = []
        self.app = Flask(__name__)

        @self.app.get("/ws/<name>", websocket=True)
        def ws(name: str) -> Any:
            if datetime.now() >= self.tokens[name]:
                abort(401)
            return hub.upgrade(request, "shop", name)

    def enter(self, name: str) -> WebSocketClient:
        self.tokens[name] = datetime.now() + timedelta(seconds=60)
        self.clients.append(ws := connect(self.app, f"/ws/{name}"))
        return ws

    def lose(self, ws: WebSocketClient, name: str, count: int = 1) -> None:
        ws.drop()
        self.recorder.wait_for("drop", name, count)

    def resume(self, ws: WebSocketClient) -> WebSocketClient:
        self.clients.append(again := ws.resume())
        return again


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    for ws in shop.clients:
        ws.sock.close()
    assert shop.hub.close(PATIENCE).complete


def test_a_token_and_a_grace_window_expire_by_the_same_clock(shop: Shop) -> None:
    """Within both, a client comes back; then the window is over; then the token is, too."""
    with freeze_time(NOON) as frozen:
        ws = shop.enter("ada")
        shop.lose(ws, "ada")
        frozen.tick(29)
        ws = shop.resume(ws)
        shop.recorder.wait_for("restore", "ada")
        shop.lose(ws, "ada", 2)

        frozen.tick(30)  # 12:00:59
        assert status_of(lambda: shop.resume(ws)) == 410
        frozen.tick(1)
        assert status_of(lambda: shop.resume(ws)) == 401


def test_one_long_tick_stops_at_every_deadline(shop: Shop) -> None:
    """Ticking ten minutes at once, datetime.now() shows each session's own end when it ends."""
    with freeze_time(NOON) as frozen:
        for name in ("ada", "bob"):
            shop.lose(shop.enter(name), name)
            frozen.tick(10)

        frozen.tick(600)

        assert datetime.now() == NOON + timedelta(seconds=620)
    moment = timedelta(microseconds=1)  # a datetime has no smaller ones, and no deadline comes early
    assert timedelta() <= shop.diary.ended["ada"] - (NOON + timedelta(seconds=30)) <= moment
    assert timedelta() <= shop.diary.ended["bob"] - (NOON + timedelta(seconds=40)) <= moment


def test_move_to_expires_a_session_as_well(shop: Shop) -> None:
    """A session ends at its very moment and not a microsecond before, however freezegun is told the time."""
    with freeze_time(NOON) as frozen:
        ws = shop.enter("ada")
        shop.lose(ws, "ada")

        frozen.move_to(NOON + timedelta(seconds=30, microseconds=-1))
        assert shop.hub.get("ada") is not None
        frozen.move_to(NOON + timedelta(seconds=30))

        assert shop.hub.get("ada") is None
        assert status_of(lambda: shop.resume(ws)) == 410


def test_a_session_outlives_the_freeze(shop: Shop) -> None:
    """A freeze that begins or ends takes nothing from a window, however far time jumps."""
    ws = shop.enter("ada")
    shop.lose(ws, "ada")
    connection = shop.hub.get("ada")
    assert connection is not None

    with freeze_time(NOON) as frozen:
        frozen.tick(20)
        connection.send(Message("n", "while away"))

    assert read(shop.resume(ws)) == ("n", "while away")
    assert shop.hub.get("ada") is connection


def status_of(attempt: Any) -> int:
    with pytest.raises(UpgradeRefused) as refused:
        attempt()
    return refused.value.status
