"""The demo's WSGI application: its pages, its checks, and what it gives out of its timeline."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.test import Client, TestResponse

from resumehub.demo import DemoApp, create_app
from tests.demo_parts import HERE, ID


@pytest.fixture
def app() -> Iterator[DemoApp]:
    app = create_app()
    yield app
    assert app.close().complete


@pytest.fixture
def client(app: DemoApp) -> Client:
    return Client(app)


# -- pages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "mimetype"),
    [
        ("/", "text/html"),
        ("/static/demo.css", "text/css"),
        ("/static/demo.js", "text/javascript"),
        ("/static/resumehub.js", "text/javascript"),
        ("/static/demo_icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_and_its_files_are_served(client: Client, path: str, mimetype: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert client.head(path).status_code == 200


def test_the_page_asks_nobody_else_for_anything(client: Client) -> None:
    """The demo works offline: every address in the page and its files is its own."""
    for path in ("/", "/static/demo.css", "/static/demo.js", "/static/demo_page.js", "/static/demo_chart.js"):
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize("path", ["/", "/static/demo.js", "/static/no-such-file", "/timeline", "/nowhere"])
def test_every_answer_is_locked_down(client: Client, path: str) -> None:
    """Scripts, styles and connections from this origin only, nothing inline, no framing."""
    headers = client.get(path).headers

    policy = dict(part.split(None, 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/static/../demo.py", "/static/%2e%2e/demo.py", "/static/", "/demo.py", "/static"]
)
def test_nothing_but_the_page_s_files_can_be_fetched(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(("method", "path", "allow"), [("POST", "/", "GET, HEAD"), ("GET", "/cut", "POST")])
def test_a_wrong_method_is_told_which_one_is_right(
    client: Client, method: str, path: str, allow: str
) -> None:
    response = client.open(path, method=method)

    assert (response.status_code, response.headers["Allow"]) == (405, allow)


# -- the timeline ---------------------------------------------------------------------


def test_the_timeline_is_json_that_nobody_keeps(client: Client) -> None:
    response = client.get("/timeline?room=lobby&after=0")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    page = response.get_json()
    assert page["events"] == []
    assert (page["next"], page["more"], page["lost"]) == (0, False, False)
    assert page["settings"]["resume_window"] == 30.0
    assert page["now"] >= 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "room=",
        "room=%20",
        "room=" + "x" * 41,
        "room=a%00b",
        "room=r&after=-1",
        "room=r&after=x",
        "room=r&after=²",
    ],
)
def test_a_bad_timeline_request_is_400(client: Client, query: str) -> None:
    assert client.get(f"/timeline?{query}").status_code == 400


# -- cutting --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", **HERE}, 403),
        (HERE, 404),
        ({"Sec-Fetch-Site": "same-origin", **HERE}, 404),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}, 404),
    ],
)
def test_only_the_page_itself_may_cut(client: Client, headers: dict[str, str], status: int) -> None:
    """Another site's page must not cut a visitor off. 404: allowed, but there is no such session."""
    assert client.post(f"/cut?id={ID}", headers=headers).status_code == status


@pytest.mark.parametrize(
    "path", ["/", "/static/resumehub.js", "/timeline?room=lobby", "/ws?room=r&name=Ada&id=" + ID]
)
@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("localhost:8000", False),
        ("LOCALHOST.", False),
        ("demo.localhost", False),
        ("127.0.0.1:8000", False),
        ("192.168.1.20", False),
        ("[::1]:8000", False),
        ("box.lan:8000", False),
        ("evil.example", True),
        ("evil.example:8000", True),
        ("localhost.evil.example", True),
        ("127.0.0.1.evil.example", True),
        ("[::1].evil.example", True),
        ("[evil.example]", True),
        ("box.lan.evil.example", True),
        ("", True),
    ],
)
def test_a_name_that_only_points_here_is_refused(path: str, host: str, refused: bool) -> None:
    """DNS rebinding: to the browser it is a part of the other site, but it says which name it asked for."""
    app = create_app(allowed_hosts=["Box.Lan"])
    response = Client(app).get(path, headers={"Host": host})
    assert app.close().complete

    assert (response.status_code == 403 and "answers to localhost" in response.text) is refused


# -- the way in -----------------------------------------------------------------------


def knock(client: Client, query: str) -> TestResponse:
    return client.get(
        f"/ws?{query}",
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        },
        environ_overrides={"SERVER_PROTOCOL": "HTTP/1.1"},
    )


def test_a_server_without_sockets_is_told_so(client: Client) -> None:
    """The test client has no socket to hand out: the answer is the hub's own 501."""
    assert knock(client, f"room=r&name=Ada&id={ID}").status_code == 501


@pytest.mark.parametrize(
    "query",
    [
        f"room=&name=Ada&id={ID}",
        f"room=r&name=&id={ID}",
        f"room=r&name=%20%20&id={ID}",
        f"room=r&name={'x' * 41}&id={ID}",
        f"room=r&name=a%E2%80%AEb&id={ID}",
        "room=r&name=Ada&id=short",
        "room=r&name=Ada&id=" + "x" * 65,
        "room=r&name=Ada&id=" + "%2F" * 20,
        "room=r&name=Ada",
    ],
)
def test_visitors_must_say_who_they_are(query: str) -> None:
    """Names and rooms are short and printable; an id is long enough not to be guessed."""
    from werkzeug.exceptions import BadRequest
    from werkzeug.test import EnvironBuilder
    from werkzeug.wrappers import Request

    from resumehub.demo.app import read_visitor

    with pytest.raises(BadRequest):
        read_visitor(Request(EnvironBuilder(path="/ws", query_string=query).get_environ()))


# -- the inspector --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"Host": "demo.example"}, 403),
    ],
)
def test_the_inspector_is_for_who_sits_at_the_machine(
    client: Client, address: str, headers: dict[str, str], status: int
) -> None:
    """A page whose name points to this machine does not sit there, nor does who comes through a proxy."""
    where = {"REMOTE_ADDR": address}
    for path in ("/inspector/", "/inspector/sessions", "/inspector/inspector.css"):
        assert client.get(path, headers=headers, environ_overrides=where).status_code == status
    page = client.get("/inspector/", headers=headers, environ_overrides=where)
    assert ("What the hub holds" in page.text) == (status == 200)
    if status == 200:
        assert client.get("/inspector", environ_overrides=where).location == "/inspector/"
        assert client.get("/inspectors", environ_overrides=where).status_code == 404
        # Of the demo's own policy there is nothing: it would forbid the forms.
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
        assert len(page.headers.getlist("Content-Security-Policy")) == 1
