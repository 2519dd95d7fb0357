"""Row six of table A: whose pages may open a WebSocket here, with the cookies of whoever looks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug import Request

from tests.contract.hub_servers import HubServer
from tests.contract.raw_client import PLAIN
from tests.support import from_query

SAME_ORIGIN = [
    pytest.param("chat.test", "http://chat.test", id="plain"),
    pytest.param("chat.test", "https://chat.test", id="an https page behind a proxy"),
    pytest.param("chat.test", "http://chat.test:80", id="default port in Origin"),
    pytest.param("chat.test:80", "http://chat.test", id="default port in Host"),
    pytest.param("chat.test:443", "https://chat.test", id="default port of https in Host"),
    pytest.param("chat.test:8080", "http://chat.test:8080", id="another port in both"),
    pytest.param("Chat.TEST", "http://chat.test", id="capitals"),
    pytest.param("[::1]:8080", "http://[::1]:8080", id="IPv6"),
    pytest.param("chat.test", None, id="no Origin: not a browser"),
]


@pytest.mark.contract("A.403", "A.101")
@pytest.mark.parametrize("host, origin", SAME_ORIGIN)
def test_pages_of_the_same_origin_are_let_in(
    hub_server: Callable[..., HubServer], host: str, origin: str | None
) -> None:
    """A site's own pages connect without any configuration, behind a TLS proxy too."""
    site = hub_server()

    site.open("u1", headers={"Host": host, "Origin": origin})

    assert site.hub.get("u1") is not None


FOREIGN = [
    pytest.param("http://evil.test", id="a stranger"),
    pytest.param("https://evilchat.test", id="a longer name"),
    pytest.param("https://chat.test.evil.test", id="a name that begins the same"),
    pytest.param("https://sub.chat.test", id="a subdomain"),
    pytest.param("http://chat.test:8080", id="another port"),
    pytest.param("https://chat.test:80", id="the other scheme's port"),
    pytest.param("null", id="a sandboxed page"),
    pytest.param("", id="an empty Origin"),
    pytest.param("*", id="a star"),
    pytest.param("chat.test", id="no scheme"),
    pytest.param("http://chat.test/", id="a trailing slash"),
    pytest.param("http://user@chat.test", id="a user name"),
    pytest.param("http://chat.test http://chat.test", id="a list of RFC 6454"),
    pytest.param("http://chat.test\r\nOrigin: http://evil.test", id="two Origin headers"),
    pytest.param(b"http://ch\xe4t.test", id="bytes beyond ASCII"),
    pytest.param("http://chat.test:99999", id="an impossible port"),
    pytest.param("://chat.test", id="an empty scheme"),
]


@pytest.mark.contract("A.403", "A1")
@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_origins_are_kept_out(
    hub_server: Callable[..., HubServer], origin: str | bytes
) -> None:
    """A hostile page cannot use its visitor's cookies to open a WebSocket here."""
    site = hub_server()

    reply = site.ask("id=u1", {"Origin": origin})

    assert reply.status == 403
    assert reply.problem()["title"] == "Forbidden"
    assert site.hub.get("u1") is None


@pytest.mark.contract("A.403")
@pytest.mark.parametrize("headers", [{}, PLAIN], ids=["a handshake", "a preflight"])
def test_connect_does_not_run_for_a_foreign_page(
    wsgi_server: Callable[..., HubServer], headers: dict[str, str | None]
) -> None:
    """A stranger's page makes no code of the application's run, whatever that may cost or give away."""
    asked: list[Request] = []
    site = wsgi_server(lambda request: asked.append(request) or from_query(request))

    reply = site.ask("id=u1&resume=true", headers | {"Origin": "https://evil.test"})

    assert (reply.status, asked) == (403, [])


@pytest.mark.contract("A.403")
@pytest.mark.parametrize(
    "allowed, origin, status",
    [
        pytest.param(["https://app.test"], "https://app.test", 101, id="listed"),
        pytest.param(["https://app.test"], "https://APP.test:443", 101, id="listed, written otherwise"),
        pytest.param(["https://APP.test:443"], "https://app.test", 101, id="listed otherwise"),
        pytest.param(["https://a.test", "https://b.test"], "https://b.test", 101, id="the second of two"),
        pytest.param(["https://app.test"], "http://app.test", 403, id="the other scheme"),
        pytest.param(["https://app.test"], "https://app.test:8443", 403, id="another port of a listed one"),
        pytest.param(["https://app.test"], "http://chat.test", 403, id="the same origin, not listed"),
        pytest.param(["https://app.test"], "null", 403, id="null, not listed"),
        pytest.param(["null"], "null", 101, id="null, listed"),
        pytest.param([], "http://chat.test", 403, id="an empty list"),
        pytest.param([], None, 101, id="an empty list and no browser"),
        pytest.param("*", "https://evil.test", 101, id="star and a stranger"),
        pytest.param("*", "null", 101, id="star and null"),
    ],
)
def test_the_list_of_allowed_origins_is_all_that_is_allowed(
    hub_server: Callable[..., HubServer], allowed: Any, origin: str | None, status: int
) -> None:
    """allowed_origins replaces the rule of the same origin, and is compared as origins, not as text."""
    site = hub_server(allowed_origins=allowed)

    assert site.ask("id=u1", {"Origin": origin}).status == status
