"""What a hub with a cluster refuses by name: TLS inside the server, and data that no move would keep."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from resumehub.testing import UpgradeRefused
from tests.cluster.worker_beside import WorkerBeside
from tests.contract.raw_client import HANDSHAKE
from tests.support import Stage

Made = Callable[[Any], Stage]


@pytest.fixture
def in_a_cluster(stage: Callable[..., Stage]) -> Iterator[Made]:
    """Make a stage at a worker, whose ``connect`` gives these data."""
    workers: list[WorkerBeside] = []

    def make(data: Any) -> Stage:
        s = stage(lambda request: ("lobby", "u1", data))
        s.hub.runner.start()
        workers.append(WorkerBeside(s.hub))
        return s

    yield make
    for worker in workers:
        worker.leave()


def environ_of(sock: socket.socket) -> dict[str, Any]:
    headers = [(name, str(value)) for name, value in HANDSHAKE.items()]
    made = EnvironBuilder(path="/", headers=headers).get_environ()
    server = {"werkzeug.socket": sock, "SERVER_SOFTWARE": "Werkzeug/3", "wsgi.multithread": True}
    return dict(made) | server | {"wsgi.multiprocess": False}


def test_tls_inside_the_server_is_refused_by_name(in_a_cluster: Made) -> None:
    """OpenSSL's state can't be passed on; a proxy in front can end TLS."""
    s = in_a_cluster({})
    ours, theirs = socket.socketpair()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with ours, context.wrap_socket(theirs, server_side=True, do_handshake_on_connect=False) as secure:
        response = s.hub.upgrade(environ_of(secure), "lobby", "u1")
    assert response.status_code == 501
    assert (
        "TLS ends inside the server, which a hub with cluster= does not support"
        in json.loads(response.get_data())["detail"]
    )


@pytest.mark.parametrize(
    "data", [{"at": (1, 2)}, {1: "one"}, {"who": object()}], ids=["tuple", "key", "object"]
)
def test_data_that_a_move_would_change_are_refused(
    in_a_cluster: Made, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A view hears TypeError; behind ``connect`` it is 500 for the client, and the reason is in the log."""
    s = in_a_cluster(data)
    with socket.socket() as sock, pytest.raises(TypeError, match=r"connection\.data"):
        s.hub.upgrade(environ_of(sock), "lobby", "u1", data=data)
    with pytest.raises(UpgradeRefused) as refusal:
        s.open()
    assert refusal.value.status == 500
    assert "connection.data" in caplog.text


def test_handlers_see_what_a_move_would_give(in_a_cluster: Made) -> None:
    """Equal, and another object: what the application keeps of it is not the session's."""
    data = {"names": ["Ada"]}
    s = in_a_cluster(data)
    s.open()
    s.recorder.wait_for("connect", "u1")
    connection = s.hub.get("u1")
    assert connection is not None
    assert connection.data == data
    assert connection.data["names"] is not data["names"]
