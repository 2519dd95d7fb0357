"""Several applications in one process, each with a hub of its own; and which one is meant."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Any

import pytest
from flask import Flask, current_app

from resumehub import Admission, Connection, ConnectionNotFound, Message
from resumehub.contrib.flask import ResumeHub
from resumehub.hooks import HOOKS
from resumehub.hub import Hub
from tests.contrib.flask_apps import live, lobby, make_app


def test_a_handler_works_for_every_application_with_its_own_context() -> None:
    """Also one that is registered when both are there already."""
    sockets = lobby()

    @sockets.on("where")
    def where(connection: Connection, message: Message) -> None:
        sockets.broadcast("lobby", Message("here", current_app.name))

    shop, bank = make_app(sockets, "shop"), make_app(sockets, "bank")

    @sockets.on_connect
    def late(connection: Connection) -> None:
        connection.data["app"] = current_app.name

    with live(shop), live(bank):
        with live(shop).connect("/ws/lobby") as in_shop, live(bank).connect("/ws/lobby") as in_bank:
            for client, name in ((in_shop, "shop"), (in_bank, "bank")):
                assert client.connection is not None
                assert client.connection.data == {"app": name}
                client.send("where")
                assert client.receive() == Message("here", name)
            assert in_shop.received_nothing()
            assert in_bank.received_nothing()
        assert live(shop).hub is not live(bank).hub


def test_the_hub_is_that_of_the_current_application() -> None:
    sockets = lobby()
    shop, bank = make_app(sockets, "shop"), make_app(sockets, "bank")
    with live(shop), live(bank), live(shop).connect("/ws/lobby") as client:
        with shop.app_context():
            assert sockets.hub is live(shop).hub
            assert (sockets.rooms(), sockets.count("lobby")) == (["lobby"], 1)
            assert sockets.get(client.id) is sockets.connections("lobby")[0]
            sockets.send(client.id, Message("psst"))
            assert client.receive() == Message("psst")
        with bank.app_context():
            assert sockets.ready()
            assert sockets.rooms() == []
            with pytest.raises(ConnectionNotFound):
                sockets.kick(client.id)
        with shop.app_context():
            sockets.kick(client.id)
        assert client.receive_close() == (1000, "kicked")


def test_users_are_reached_through_the_extension() -> None:
    sockets = ResumeHub()
    app = make_app(sockets)

    @sockets.route("/ws")
    def join() -> Any:
        return Admission("lobby", user="ada")

    with live(app), live(app).connect("/ws") as one, live(app).connect("/ws") as two:
        assert len(sockets.connections(user="ada")) == 2
        assert sockets.send_to_user("ada", Message("hi")) == 2
        assert one.receive() == two.receive() == Message("hi")
        sockets.kick_user("ada")
        assert one.receive_close() == two.receive_close() == (1000, "kicked")


def test_without_a_context_the_only_application_is_meant() -> None:
    """Closed ones do not count: a test that comes later has only its own."""
    sockets = lobby()
    with pytest.raises(RuntimeError, match="there is no application, and no application context"):
        _ = sockets.hub
    first = make_app(sockets)
    with live(first):
        assert sockets.hub is live(first).hub
        second = make_app(sockets)
        with pytest.raises(RuntimeError, match=r"2 applications .* use `with app.app_context\(\):`"):
            _ = sockets.hub
    assert sockets.hub is live(second).hub
    live(second).close()


def test_an_application_that_is_gone_does_not_change_what_is_meant() -> None:
    """Otherwise it would depend on the garbage collector, whether a call without a context works."""
    sockets = lobby()
    gone = make_app(sockets)
    live(make_app(sockets))
    del gone
    gc.collect()
    with pytest.raises(RuntimeError, match="2 applications"):
        _ = sockets.hub


def test_an_application_that_is_not_initialised_is_named() -> None:
    sockets = lobby()
    other = make_app(ResumeHub(), "other")
    with make_app(None, "bare").app_context(), pytest.raises(RuntimeError, match="'bare' is not initialised"):
        _ = sockets.hub
    with other.app_context(), pytest.raises(RuntimeError, match="'other' has another ResumeHub"):
        _ = sockets.hub


def test_an_application_is_initialised_once() -> None:
    sockets = ResumeHub()
    app = make_app(sockets)
    for again in (sockets, ResumeHub()):
        with pytest.raises(RuntimeError, match=r"'shop' has a ResumeHub already: call .* once"):
            again.init_app(app)


@pytest.mark.parametrize("wrong", [Hub(), "shop", Flask], ids=["a hub", "a name", "the class"])
def test_only_a_flask_application_is_taken(wrong: Any) -> None:
    with pytest.raises(TypeError, match="ResumeHub takes a Flask application, not"):
        ResumeHub(wrong)


def test_an_application_that_is_given_to_the_constructor_is_initialised() -> None:
    app = make_app()
    sockets = ResumeHub(app, resume_window=5)
    with live(app):
        assert sockets.hub.config.resume_window == 5


def test_the_extension_has_the_hooks_and_calls_of_the_hub() -> None:
    """What is not there is there through ``sockets.hub``, and for a reason."""
    elsewhere = {
        "upgrade": "a route does it",
        "wsgi_app": "a route is the way in",
        "cut": "the helper for tests has drop()",
        "close": "AppHub.close",
        "closing": "a property of one hub",
        "stats": "for the operator, who has one hub in hand",
    }
    public = {name for name in vars(Hub) if not name.startswith("_")}
    assert public - set(dir(ResumeHub)) <= elsewhere.keys()
    assert set(HOOKS) <= set(dir(ResumeHub))


WITHOUT_FLASK = """
import sys
sys.modules["flask"] = None
import resumehub
try:
    import resumehub.contrib.flask
except ImportError as error:
    print(error)
"""


def test_without_flask_the_error_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLASK], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "resumehub.contrib.flask needs Flask: pip install 'resumehub[flask]'\n"
