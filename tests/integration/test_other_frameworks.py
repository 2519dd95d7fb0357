"""Django and Pyramid: their views can't return the hub's answer, and the mount that the error shows works."""

from __future__ import annotations

import importlib.util
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.sync.client import connect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from resumehub import Hub
from tests.contract.hub_servers import Server
from tests.support import PATIENCE

Application = Callable[..., Any]


def _skip_without(framework: str) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")


def django_application(view: Callable[[Any], Any]) -> Application:
    """A Django project in one file, whose only URL is ``/``."""
    _skip_without("django")
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    class Urls:
        urlpatterns = [path("", lambda request: HttpResponse(str(view(request))))]

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="for tests", DEBUG=False, LOGGING_CONFIG=None)
        django.setup()
    settings.ROOT_URLCONF = Urls
    django.urls.clear_url_caches()
    return get_wsgi_application()


def pyramid_application(view: Callable[[Any], Any]) -> Application:
    """A Pyramid application with one view at ``/``."""
    _skip_without("pyramid")
    with warnings.catch_warnings():  # its dependencies import modules that Python gives up
        warnings.simplefilter("ignore")
        from pyramid.config import Configurator
        from pyramid.response import Response

    config = Configurator()
    config.add_route("home", "/")
    config.add_view(lambda request: Response(str(view(request))), route_name="home")
    return config.make_wsgi_app()


FRAMEWORKS = pytest.mark.parametrize(
    "framework", [django_application, pyramid_application], ids=["Django", "Pyramid"]
)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(lambda request: ("lobby", request.cookies["id"])) as hub:
        hub.on_message(lambda connection, message: connection.send(message))
        yield hub


@FRAMEWORKS
def test_its_request_is_a_type_error_that_shows_the_mount(hub: Hub, framework: Any) -> None:
    """Without the check the view would get far: both have an environ, and fail at the answer."""
    given: list[Any] = []
    app = framework(given.append)
    app(EnvironBuilder("/", query_string="ticket=secret").get_environ(), lambda *_: None)

    with pytest.raises(
        TypeError, match=r"DispatcherMiddleware\(application, \{\"/ws\": hub.wsgi_app\}\)"
    ) as error:
        hub.upgrade(given[0], "lobby", "u1")

    assert type(given[0]).__name__ in str(error.value)
    assert "secret" not in str(error.value)


@FRAMEWORKS
def test_the_mount_works(hub: Hub, framework: Any) -> None:
    """The framework's pages and the WebSockets come from one server, and cookies reach ``connect``."""
    pages = framework(lambda request: "a page")
    server = Server(DispatcherMiddleware(pages, {"/ws": hub.wsgi_app}))
    try:
        address = f"ws://127.0.0.1:{server.port}/ws"
        with connect(address, additional_headers={"Cookie": "id=ada"}) as ws:
            ws.send('{"event": "hello"}')
            assert ws.recv(PATIENCE) == '{"event":"hello"}'
            assert hub.get("ada") is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/") as page:
            assert page.read() == b"a page"
    finally:
        server.close()


@pytest.mark.parametrize(
    "given", [None, "request", object(), Hub], ids=["None", "a str", "an object", "a class"]
)
def test_whatever_else_is_no_request_is_named_by_its_type(hub: Hub, given: Any) -> None:
    with pytest.raises(TypeError, match=r"^hub\.upgrade needs a werkzeug or Flask request"):
        hub.upgrade(given, "lobby", "u1")


def test_the_environ_of_any_framework_is_taken(hub: Hub) -> None:
    """Who calls the answer as a WSGI application, as Pyramid's ``wsgiapp`` does, may use the environ."""
    environ = EnvironBuilder("/").get_environ()
    assert hub.upgrade(environ, "lobby", "u1").status_code == 501
    assert hub.upgrade(Request(environ), "lobby", "u1").status_code == 501
