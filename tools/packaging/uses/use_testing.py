"""Uses the extra ``testing``: a grace window that ends as freezegun's time goes on."""

from __future__ import annotations

import queue

import freezegun

from resumehub import Hub
from resumehub.testing import FreezegunClock, UpgradeRefused, WebSocketClient, connect

PATIENCE = 20.0


def main() -> None:
    dropped, ended = queue.Queue[str](), queue.Queue[str]()
    with freezegun.freeze_time("2026-01-01") as frozen:
        hub = Hub(lambda request: ("lobby", "ada"), clock=FreezegunClock(), resume_window=30)
        hub.on_transport_drop(lambda connection, error: dropped.put(connection.id))
        hub.on_disconnect(lambda connection, error: ended.put(connection.id))
        client = connect(hub, "/")
        client.drop()
        assert dropped.get(timeout=PATIENCE) == "ada"
        frozen.tick(30)
        assert ended.get(timeout=PATIENCE) == "ada"
        assert status_of_a_resume(client) == 410
        assert hub.close().complete
    print("a session ended when freezegun's time had gone on by its window")


def status_of_a_resume(client: WebSocketClient) -> int:
    try:
        client.resume()
    except UpgradeRefused as refused:
        return refused.status
    return 101


if __name__ == "__main__":
    main()
