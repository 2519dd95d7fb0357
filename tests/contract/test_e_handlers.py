"""E4: a handler that could never run is refused when it is registered, and the error says what is right."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any
from unittest.mock import AsyncMock, Mock

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from resumehub import Admission, Hub
from resumehub.client import connect as connect_client
from resumehub.hooks import HOOKS
from resumehub.router import Router

ARGUMENTS = {"request": ("request",), **HOOKS}

CALLBACKS = {
    "on_message": 2,
    "on_transport_drop": 2,
    "on_transport_restore": 1,
    "on_session_expired": 2,
    "on_disconnect": 2,
    "on_missed": 3,
    "on_rejected": 3,
}
"""Of the Python client, with the number of their arguments."""


def registrations(hub: Hub) -> dict[str, tuple[Callable[[Any], object], int]]:
    """Every place that takes a handler, and how many arguments the handler gets there."""
    router = Router()
    found: dict[str, tuple[Callable[[Any], object], int]] = {
        hook: (getattr(hub, hook), len(arguments)) for hook, arguments in HOOKS.items()
    }
    found["Hub(connect)"] = (Hub, 1)
    found["router.on"] = (router.on("chat"), 2)
    found["router.fallback"] = (router.fallback, 2)
    found["router.use"] = (router.use, 3)
    for hook, count in CALLBACKS.items():
        found[f"the client's {hook}"] = (
            lambda handler, hook=hook: connect_client("ws://127.0.0.1:1/", **{hook: handler}),
            count,
        )
    return found


PLACES = list(registrations(Hub()))


def test_every_callback_of_the_client_is_among_them() -> None:
    names = [name for name in inspect.signature(connect_client).parameters if name.startswith("on_")]
    assert sorted(names) == sorted(CALLBACKS)


def of(count: int, kind: str) -> Any:
    """A handler of that kind with so many arguments."""
    names = ", ".join("abcde"[:count])
    space: dict[str, Any] = {}
    source = {
        "async def": f"async def handler({names}): ...",
        "async generator": f"async def handler({names}):\n    yield",
        "generator": f"def handler({names}):\n    yield",
        "def": f"def handler({names}): ...",
    }
    method = {
        kind: "class Maker:\n    " + text.replace("(", "(self, ", 1).replace("\n", "\n    ")
        for kind, text in source.items()
    }
    called = {kind: text.replace("def handler", "def __call__") for kind, text in method.items()}
    if kind.startswith("partial of "):
        exec(source[kind.removeprefix("partial of ")].replace("(", "(first, ", 1), space)
        return partial(space["handler"], "first")
    if kind.startswith("method, "):
        exec(method[kind.removeprefix("method, ")], space)
        return space["Maker"]().handler
    if kind.startswith("object, "):
        exec(called[kind.removeprefix("object, ")], space)
        return space["Maker"]()
    exec(source[kind], space)
    return space["handler"]


RUN_NOTHING = ("async def", "async generator", "generator")
KINDS = [f"{how}{kind}" for how in ("", "partial of ", "method, ", "object, ") for kind in RUN_NOTHING]


@pytest.mark.contract("E4")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_nothing_when_it_is_called_is_refused(place: str, kind: str) -> None:
    """It would look like a handler that does nothing, with every message, in silence."""
    register, count = registrations(Hub())[place]
    with pytest.raises(TypeError, match=r"takes a function of \(.*use a plain def"):
        register(of(count, kind))


@pytest.mark.contract("E4")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("more", [1, -1], ids=["one argument too many", "one too few"])
@pytest.mark.parametrize("how", ["", "partial of ", "method, ", "object, "])
def test_a_wrong_number_of_arguments_is_refused(place: str, more: int, how: str) -> None:
    register, count = registrations(Hub())[place]
    with pytest.raises(TypeError, match=r"takes a function of \(.*can't be called so"):
        register(of(count + more, f"{how}def"))


@pytest.mark.contract("E4")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("what", ["lobby", 7, ..., Admission("lobby")], ids=repr)
def test_what_cannot_be_called_is_refused(hook: str, what: object) -> None:
    names = ", ".join(HOOKS[hook])
    with pytest.raises(TypeError) as error:
        getattr(Hub(), hook)(what)
    assert str(error.value) == f"hub.{hook} takes a function of ({names}), not {type(what).__name__}"


def with_database(handler: Callable[..., object]) -> Callable[..., object]:
    """The usual decorator: it gives the function one argument more than it gets."""

    @wraps(handler)
    def inner(*arguments: Any) -> object:
        return handler("the database", *arguments)

    return inner


@pytest.mark.contract("E4")
@pytest.mark.parametrize("hook", HOOKS)
def test_whatever_can_be_called_so_is_taken(hook: str) -> None:
    """Plain functions, methods, partials, catch-all functions, mocks, and builtins without a signature."""
    count = len(HOOKS[hook])
    decorated = with_database(of(count + 1, "def"))
    kinds = [of(count, f"{how}def") for how in ("", "partial of ", "method, ", "object, ")]
    for handler in (*kinds, decorated, lambda *arguments: None, Mock(), print, max):
        hub = Hub()
        assert getattr(hub, hook)(handler) is handler
        assert hub.runner.handlers[hook] == (handler,)


@pytest.mark.contract("E4")
def test_an_async_mock_is_no_handler() -> None:
    with pytest.raises(TypeError, match="async"):
        Hub().on_connect(AsyncMock())


@pytest.mark.contract("E4")
def test_a_refused_handler_is_not_registered() -> None:
    hub = Hub()
    with pytest.raises(TypeError):
        hub.on_message(of(2, "async def"))
    assert hub.runner.handlers["on_message"] == ()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    return []


@pytest.mark.contract("E4")
@pytest.mark.parametrize(
    "app",
    [flask.Flask("shop"), wsgi, DispatcherMiddleware(wsgi), Hub(), Hub().wsgi_app],
    ids=["Flask", "a WSGI function", "a middleware", "another hub", "its wsgi_app"],
)
def test_an_application_is_not_given_to_a_hub(app: Any) -> None:
    """As an extension of Flask would take it. The error says how the two come together."""
    with pytest.raises(TypeError) as error:
        Hub(app)
    assert "call hub.upgrade(request, room_id) in a view, or mount hub.wsgi_app" in str(error.value)


@pytest.mark.contract("E4")
def test_a_connect_that_is_no_function_of_a_request_is_refused() -> None:
    for connect in ("lobby", of(1, "async def"), of(2, "def")):
        with pytest.raises(TypeError, match=r"^Hub\(connect\) takes a function of \(request\)"):
            Hub(connect)  # type: ignore[arg-type]
    assert Hub(lambda request: ("lobby", "u1")).connect is not None
