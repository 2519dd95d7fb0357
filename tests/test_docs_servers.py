"""docs/reference/servers.md says of servers what they do, and of all of them that nothing is left.

The rows are those that ``tools/servers`` has kept. Two of the servers are asked here again, in this process:
one that serves, and one that does not hand out its sockets. (gunicorn is asked by tests/integration/.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from werkzeug.serving import make_server

from resumehub import Admission, Hub, Message
from resumehub.wsgi.handover import SUPPORTED
from tests.contract.hub_servers import served_by_waitress
from tests.support import PATIENCE
from tests.test_docs_generated import text_of
from tools.surveying import page
from tools.surveying.client import dial, get
from tools.surveying.servers import NOTES, SERVERS
from tools.surveying.survey import GONE, session, shown

ROWS = {row["server"]: row for row in page.kept()}


def test_every_server_of_the_list_has_a_row() -> None:
    """A server that is added, or given another version, is asked before the page speaks of it."""
    assert [(row["server"], row["version"]) for row in ROWS.values()] == [
        (server.name, server.version) for server in SERVERS
    ]
    assert set(NOTES) <= set(ROWS)


def test_each_row_is_of_one_kind_and_no_server_hangs_or_leaks() -> None:
    assert [fault for row in ROWS.values() for fault in page.faults_of(row)] == []
    for row in ROWS.values():
        kinds = [page.is_served, page.is_refused, page.is_never_asked, lambda row: "skipped" in row]
        assert [kind(row) for kind in kinds].count(True) == 1, row["server"]


def test_the_servers_of_the_501_are_those_that_serve() -> None:
    """What the body of a 501 recommends has a session on the page; nothing else has one."""
    served = [row["server"] for row in ROWS.values() if page.is_served(row)]
    assert served == [
        "Werkzeug, threaded",
        "Werkzeug, not threaded",
        "gunicorn, gthread",
        "gunicorn, sync",
    ]
    for word in ("Werkzeug", "threaded or not", "gunicorn", "sync", "gthread"):
        assert word in SUPPORTED


def test_a_change_of_the_answer_is_a_change_of_the_page() -> None:
    """The page quotes the reasons of 501 answers; ``tools/servers --docs`` brings new ones."""
    assert "the server puts no socket into the WSGI environ" in text_of("reference/servers.md")
    assert all("What to do: " in row["dial"]["text"] for row in ROWS.values() if page.is_refused(row))


# -- two servers again ----------------------------------------------------------------


@contextmanager
def by_werkzeug(app: Any) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="werkzeug")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


@pytest.mark.parametrize(
    ("name", "served_by"),
    [("Werkzeug, threaded", by_werkzeug), ("waitress", served_by_waitress)],
    ids=["Werkzeug", "waitress"],
)
def test_a_server_still_does_what_its_row_says(name: str, served_by: Callable[[Any], Any]) -> None:
    row = ROWS[name]
    with Hub(lambda request: Admission("lobby", request.args.get("id")), resume_window=5) as hub:
        hub.on_message(lambda connection, message: connection.send(Message("echo", message.payload)))
        hub.on_transport_drop(lambda connection, error: connection.send(Message("while you were away")))
        with served_by(hub) as port:
            seen = {
                "hub_page": shown(get(port, "/ws")),
                "session": session(port),
                "dial": shown(dial(port, "/ws?id=one")),
                "gone": shown(dial(port, GONE)),
            }
    assert seen == {what: row[what] for what in seen}
