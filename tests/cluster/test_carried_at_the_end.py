"""The process of the hub ends while a handler of a carried session still runs in the one before it."""

from __future__ import annotations

import pytest

from resumehub import Connection, Hub, Message
from resumehub.core.cluster.membership import Role
from resumehub.testing import MemoryCluster
from tests.cluster.memory_scenes.stage import an_application


@pytest.mark.contract("F2")
def test_no_callback_begins_beside_the_handler_that_still_runs(caplog: pytest.LogCaptureFixture) -> None:
    """Given nobody who can take the hub, when it is parked, then the session ends without on_disconnect.

    As in one process, where on_disconnect comes behind a handler that does not return.
    """
    with MemoryCluster() as cluster:
        let_go = cluster.threading.Event()
        called: list[str] = []

        def build(hub: Hub) -> None:
            an_application(hub)

            @hub.on_message
            def waits(connection: Connection, message: Message) -> None:
                let_go.wait()
                called.append("returned")

            @hub.on_adopt
            def adopted(connection: Connection) -> None:
                called.append("on_adopt")

            @hub.on_disconnect
            def disconnected(connection: Connection, error: Exception | None) -> None:
                called.append("on_disconnect")

        [one] = cluster.processes("one", build=build)
        alice = one.dial("/?id=alice")
        cluster.run_until_idle()
        alice.send('{"event": "wait"}')
        cluster.run_until_idle()
        own = cluster.process("own", build=build, alone=True)
        own.start()
        assert cluster.wait_until(lambda: own.has_hub)

        own.tell_to_stop()
        assert cluster.wait_until(lambda: own.role is Role.GONE)
        cluster.settle()
        assert alice.wait_closed()[0] == 1001
        assert called == []
        assert "a handler of 'alice' still runs in process 100" in caplog.text

        let_go.set()
        cluster.run_until_idle()
        assert called == ["returned"]
