"""What is agreed to without wsproto is what wsproto would have agreed to; the rest is left to it."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.transport.fast_handshake import answer_ordinary
from resumehub.transport.websocket import HandshakeError, _Judge

ORDINARY = {
    "HTTP_HOST": "chat.test:8000",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}

BROWSERS = {
    "Chromium": {"HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate; client_max_window_bits"},
    "Firefox": {
        "HTTP_CONNECTION": "keep-alive, Upgrade",
        "HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate",
    },
    "a client of ours": {"HTTP_SEC_WEBSOCKET_PROTOCOL": "resumehub.v1, resumehub.token.abc_DEF-123"},
    "nginx in front": {"HTTP_CONNECTION": "upgrade", "HTTP_HOST": "[::1]:8000"},
    "a client that names nothing": {},
}

KNOWN = ("chat.v2", "resumehub.v1")

repeatable = settings(derandomize=True, database=None, deadline=None, max_examples=500)


def judged(environ: dict[str, Any], compression: bool = False) -> list[tuple[str, str]] | None:
    """The headers that wsproto answers with; None where it refuses."""
    try:
        headers = _Judge(environ, KNOWN, compression).headers
    except HandshakeError:
        return None
    assert headers[0][1].lower() == "websocket"
    return [("Upgrade", "websocket"), *headers[1:]]  # some versions of it write "WebSocket"


@pytest.mark.parametrize("headers", BROWSERS.values(), ids=BROWSERS.keys())
def test_what_browsers_say_never_meets_wsproto(headers: dict[str, str]) -> None:
    """That is what makes it quick; and the answer is the library's, header by header."""
    environ = ORDINARY | headers
    answer = answer_ordinary(environ, KNOWN, False)

    assert answer is not None
    assert answer == judged(environ)


def test_compression_is_for_wsproto_to_agree_on() -> None:
    """Its parameters are negotiated; a client that offers none gets the quick answer all the same."""
    assert answer_ordinary(ORDINARY | BROWSERS["Firefox"], KNOWN, True) is None
    assert answer_ordinary(ORDINARY, KNOWN, True) == judged(ORDINARY, True)


# -- any request -----------------------------------------------------------------------------

ODD = st.text(st.sampled_from(string.printable + "\0\x7f\xa0\xe9\xff"), max_size=12)
"""As a WSGI server decodes it: Latin-1. Blanks, tabs, line ends, commas and controls are in it."""

SAID: dict[str, list[str]] = {
    "HTTP_HOST": [
        "chat.test",
        "localhost:80",
        "[::1]:8000",
        "a..b",
        "xn--nxasmq6b",
        "xn--999999999",
        "XN--999999999",
        "a--b",
        "-",
        "a b",
        "ä.test",
    ],
    "HTTP_CONNECTION": [
        "upgrade",
        "keep-alive, Upgrade",
        "keep-alive",
        "Upgrade, ",
        "close, upgrade",
        "not-upgrade",
    ],
    "HTTP_UPGRADE": ["WebSocket", "WEBSOCKET", "websocket, h2c", "h2c", " websocket"],
    "HTTP_SEC_WEBSOCKET_VERSION": ["8", "13, 8", " 13", "013", "130"],
    "HTTP_SEC_WEBSOCKET_KEY": [
        *("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAB==", "AAAAAAAAAAAAAAAAAAAAAw=="),
        *(
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAA-AAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAA==\n",
            "AAAAAAAAAAAAAAAAAAAAAA=A",
        ),
    ],
    "HTTP_SEC_WEBSOCKET_PROTOCOL": [
        *(
            "chat.v2",
            "chat.v1, chat.v2",
            "resumehub.v1,chat.v2",
            ",chat.v2,",
            "chat.v2\t,x",
            "Chat.v2",
            "caf\xe9, chat.v2",
        ),
    ],
    "HTTP_SEC_WEBSOCKET_EXTENSIONS": [
        *(
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits=99",
            'x; y="a,b"',
            "d\xe9flate",
            "a\tb",
        ),
    ],
    "HTTP_SEC_WEBSOCKET_ACCEPT": ["x", "\0"],
    "HTTP_SEC_WEBSOCKET_": ["x"],
    "HTTP_SEC_WEBSOCKET_(": ["x"],
    "HTTP_COOKIE": ["a=\xe9\0"],
}


@pytest.mark.parametrize("name", SAID)
def test_each_known_oddity_alone_is_answered_as_wsproto_would_answer_it(name: str) -> None:
    """Chance alone would meet some of them too rarely."""
    for value in SAID[name]:
        environ = ORDINARY | {name: value}
        quick = answer_ordinary(environ, KNOWN, False)

        assert quick is None or quick == judged(environ), value


@st.composite
def requests(draw: Callable[..., Any]) -> dict[str, str]:
    """An ordinary request in which some headers are left out or changed, a little or altogether."""
    environ: dict[str, str] = dict(ORDINARY)
    for name in draw(st.lists(st.sampled_from(list(SAID)), max_size=3)):
        how = draw(st.sampled_from(["known", "known", "odd", "inside", "gone"]))
        if how == "known":
            environ[name] = draw(st.sampled_from(SAID[name]))
        elif how == "odd":
            environ[name] = draw(ODD)
        elif how == "inside":
            value = environ.get(name, "")
            at = draw(st.integers(0, len(value)))
            environ[name] = value[:at] + draw(ODD)[:2] + value[at + draw(st.integers(0, 2)) :]
        else:
            environ.pop(name, None)
    return environ


@repeatable
@given(requests(), st.booleans())
def test_any_request_is_answered_as_wsproto_would_answer_it(
    environ: dict[str, str], compression: bool
) -> None:
    """The quick answer is the library's or none, and none where the library refuses."""
    quick = answer_ordinary(environ, KNOWN, compression)

    assert quick is None or quick == judged(environ, compression)
