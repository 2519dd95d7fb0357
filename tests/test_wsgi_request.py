"""Whose request object ``hub.upgrade`` reads the query from."""

from __future__ import annotations

from typing import Any

from flask import Request as FlaskRequest
from werkzeug import Request

from resumehub.wsgi.view_request import request_of


def environ_of(query: str) -> dict[str, Any]:
    return {"QUERY_STRING": query, "REQUEST_METHOD": "GET", "HTTP_HOST": "test"}


def test_what_the_framework_has_read_is_not_read_again() -> None:
    """A view's framework has parsed the query, and its request stays the one that the environ names."""
    environ = environ_of("id=u1&resume=true")
    request = FlaskRequest(environ)

    assert request_of(environ) is request
    assert environ["werkzeug.request"] is request


def test_without_a_framework_of_werkzeugs_a_request_is_made() -> None:
    assert request_of(environ_of("resume=true")).args["resume"] == "true"


def test_a_query_that_was_changed_since_is_read_anew() -> None:
    """Middleware that rewrites addresses may have made a request of its own before."""
    environ = environ_of("resume=false")
    assert Request(environ).args["resume"] == "false"
    environ["QUERY_STRING"] = "resume=true"

    assert request_of(environ).args["resume"] == "true"


def test_the_request_of_another_environ_is_not_taken_for_this_ones() -> None:
    """A copy of an environ names the request of the original."""
    environ = environ_of("resume=true")
    request = FlaskRequest(environ)
    copy = {**environ, "HTTP_ORIGIN": "https://other.test"}

    made = request_of(copy)
    assert made is not request
    assert made.headers["Origin"] == "https://other.test"


def test_queries_that_an_application_keeps_in_its_own_way_are_read_in_ours() -> None:
    """In a plain dict ``resume=true&resume=false`` would look like one of the two."""

    class Simple(Request):
        parameter_storage_class = dict  # type: ignore[assignment]

    environ = environ_of("resume=true&resume=false")
    Simple(environ)

    assert request_of(environ).args.getlist("resume") == ["true", "false"]
