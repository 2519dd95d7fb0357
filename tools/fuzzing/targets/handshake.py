"""Requests from raw bytes to the answer: the checks of the upgrade, in front of a hub that has no session.

The bytes are parsed as a WSGI server does it, by the standard library; then the real checks answer. What must
hold: nothing is raised, and connect is not blamed; the status is one of the contract's (A); an error is
problem+json that no cache may keep, has a bounded body and repeats nothing of the request in a header; a 101
has the accept value of RFC 6455 §4.2.2, an extension that the client has offered, a subprotocol that it has
offered and we know, and comes only for what §4.2.1 allows; and the quick answer to ordinary requests is the
library's. Read next: ``frames.py``.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
from io import BytesIO
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from resumehub.config import Config
from resumehub.core.drain import Drain
from resumehub.runtime.system import SystemRuntime
from resumehub.session.seen_session import Found
from resumehub.transport.fast_handshake import answer_ordinary
from resumehub.transport.websocket import HandshakeError, _Judge
from resumehub.wsgi.checks import answer
from tools.fuzzing.choices import Choices

from .quiet import quiet

STATUSES: Final = frozenset({101, 204, 400, 403, 405, 409, 410, 426, 429, 503})
"""Those of the contract's A that can come with a server that has a socket, and a connect that raises
nothing."""
MOST_BODY: Final = 2000
PROTOCOLS: Final = ("chat", "news")
METHODS: Final = ("GET", "GET", "GET", "GET", "POST", "HEAD", "get", "G\xc9T", "GETGET")
PATHS: Final = (
    "/",
    "/?id=one",
    "/?id=one&resume=true",
    "/?id=one&resume=true&reject=close",
    "/?resume=true",
    "/?id=one&received=1&attempt=2",
    "/?id=%00",
    "/?room=&id=x",
    "/?id=%ff&resume=%74rue",
    "*",
    "http://other/?id=one",
)
HEADERS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Host", ("chat.test", "chat.test:80", "[::1]:8000", "", "a b", "xn--999999999", "\xe9")),
    ("Connection", ("Upgrade", "keep-alive, Upgrade", "close", "upgrade,", "")),
    ("Upgrade", ("websocket", "WebSocket", "websocket, h2c", "h2c", "")),
    ("Sec-WebSocket-Version", ("13", "8", "13, 8", "", "\xb913", "0013")),
    (
        "Sec-WebSocket-Key",
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=", "", "AAAA", "dGhlIHNhbXBsZSBub25jZR=="),
    ),
)
MORE: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "Origin",
        (
            "http://chat.test",
            "https://chat.test",
            "null",
            "http://evil.test",
            "http://chat.test:99999",
            "//",
            "[",
        ),
    ),
    (
        "Sec-WebSocket-Protocol",
        ("chat", "resumehub.v1", "resumehub.v1, resumehub.token.abc", "x, news", ",", "a b", "\xff"),
    ),
    (
        "Sec-WebSocket-Extensions",
        ("permessage-deflate", "permessage-deflate; client_max_window_bits", "x;;", '"', "\xff"),
    ),
    ("Content-Length", ("0", "5", "x", "-1")),
    ("Transfer-Encoding", ("chunked", "identity")),
    ("Cookie", ("a=b", "\xff=\xff; =")),
    ("X-Forwarded-For", ("1.2.3.4",)),
)

SEEDS: Final = (
    b"",
    b"\0\1\0\0\0\0\0\0",
    b"\0\3" + bytes(12),
    bytes(range(40)),
    b"\0\2\0\0\0\0\0\0\0\0\1\1\0\1\1",
)


def run(data: bytes) -> None:
    choices = Choices(data)
    environ = parsed(request(choices))
    if environ is None:
        return  # such bytes never come as far as an application
    here, there = socket.socketpair()
    with here, there:
        _ask(choices, environ | {"resumehub.socket": here})


def _ask(choices: Choices, environ: dict[str, Any]) -> None:
    options: dict[str, Any] = {
        "compression": choices.yes(),
        "subprotocols": PROTOCOLS,
        "resume_window": choices.pick((30.0, 0)),
        "allowed_origins": choices.pick((None, "*", ["http://chat.test"])),
    }
    sessions = Sessions(Config.build(**options))
    with quiet():
        response = answer(sessions, _connect, environ)  # type: ignore[arg-type]
        again = answer(sessions, _connect, environ)  # type: ignore[arg-type]
    assert again.status_code == response.status_code, "the same request is answered otherwise"
    _check(response, environ, sessions)
    if response.status_code == 101:
        _check_101(response, environ, sessions)
    _compare(environ, sessions.config.compression)


def request(choices: Choices) -> bytes:
    """A request's head: mostly sound, with other values, and with headers doubled or left out."""
    method, path = choices.pick(METHODS), choices.pick(PATHS)
    lines = [f"{method} {path} HTTP/{choices.pick(('1.1', '1.1', '1.1', '1.0', '2.0', '0.9'))}"]
    for name, values in HEADERS:
        value = values[0] if not choices.yes(6) else choices.pick(values)
        if choices.yes(16):
            continue
        lines.append(f"{name}: {value}")
        if choices.yes(24):
            lines.append(f"{name}: {choices.pick(values)}")
    for name, values in MORE:
        if choices.yes(4):
            lines.append(f"{name}:{choices.pick((' ', '', '  '))}{choices.pick(values)}")
        if choices.yes(48):
            lines.append(f"{name}: {choices.bytes(60).decode('latin-1')}")
    return choices.damage("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")


def parsed(raw: bytes) -> dict[str, Any] | None:
    """The WSGI environ (PEP 3333) that a server makes of these bytes; None: it refuses them by itself."""
    stream = BytesIO(raw)
    words = stream.readline().decode("latin-1").rstrip("\r\n").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    try:
        headers = http.client.parse_headers(stream)
    except http.client.HTTPException:
        return None
    path, _, query = words[1].partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": words[0],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": words[2],
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.multithread": True,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        if "_" in name or not name.isascii():
            continue  # as servers do: it could be taken for another one
        key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"
        value = value.replace("\r\n", "")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _connect(request: Request) -> tuple[str, str | None]:
    return request.args.get("room", "lobby"), request.args.get("id")


class Sessions:
    """What the checks ask a hub for: one with no session, that takes any newcomer."""

    in_cluster = False
    closing = False
    runtime = SystemRuntime()

    def __init__(self, config: Config) -> None:
        self.config = config
        self.counted: list[int] = []

    def ready(self) -> bool:
        return True

    def start(self) -> None:
        pass

    def look(self, connection_id: str | None, key: str, received: int | None) -> Found:
        return Found(None, False, Drain.NONE)

    def may_refuse_by_close(self) -> bool:
        return True

    def count(self, method: str, *arguments: Any) -> None:
        pass

    def refused(self, status: int, reason: Any, detail: str = "") -> None:
        self.counted.append(status)

    def admit(self, address: str, comes_back: bool, /) -> float:
        return 0.0

    def give_back(self, address: str, comes_back: bool, /) -> None:
        pass

    def data_of(self, data: Any) -> Any:
        return data


def _check(response: Response, environ: dict[str, Any], sessions: Sessions) -> None:
    status = response.status_code
    assert status in STATUSES, f"the status is {status}"
    assert response.headers.get("Cache-Control") == "no-store", "a cache may keep the answer (A1)"
    for name, value in response.headers:
        assert not set("\r\n\0") & set(name + value), f"the header {name} has a line's end in it"
    if status >= 400:
        body = response.get_data()
        assert len(body) <= MOST_BODY, f"a body of {len(body)} bytes"
        said = json.loads(body)
        assert response.content_type == "application/problem+json", (
            f"an error of type {response.content_type}"
        )
        assert said["status"] == status, "the body says another status"
    else:
        assert environ["REQUEST_METHOD"] == "GET", "only GET is answered so"
    if status in (405, 426):
        wanted = {405: ("Allow",), 426: ("Upgrade",)}[status]
        assert all(name in response.headers for name in wanted), f"a {status} without {wanted}"


def _check_101(response: Response, environ: dict[str, Any], sessions: Sessions) -> None:
    headers = response.headers
    key = environ["HTTP_SEC_WEBSOCKET_KEY"].strip()
    assert len(base64.b64decode(key, validate=True)) == 16, "§4.2.1 item 5: a key of 16 bytes"
    expected = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    assert headers["Sec-WebSocket-Accept"] == expected.decode(), "§4.2.2 item 5: the accept value"
    assert headers["Upgrade"].lower() == "websocket", "§4.2.2 item 2"
    assert headers["Connection"].lower() == "upgrade", "§4.2.2 item 3"
    assert environ["HTTP_SEC_WEBSOCKET_VERSION"].strip() == "13", "§4.2.1 item 6"
    assert environ["SERVER_PROTOCOL"] != "HTTP/1.0", "§4.2.1 item 1"
    offered = [one.strip() for one in environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")]
    chosen = headers.get("Sec-WebSocket-Protocol")
    assert chosen is None or (chosen in offered and chosen in (*PROTOCOLS, "resumehub.v1")), (
        f"{chosen!r} was not offered"
    )
    extension = headers.get("Sec-WebSocket-Extensions")
    if extension is not None:
        assert sessions.config.compression, "compression is off"
        assert "permessage-deflate" in environ["HTTP_SEC_WEBSOCKET_EXTENSIONS"], "it was not offered"


def _compare(environ: dict[str, Any], compression: bool) -> None:
    """The quick answer, where there is one, is the library's."""
    quick = answer_ordinary(environ, PROTOCOLS, compression)
    if quick is None:
        return
    try:
        slow = _Judge(environ, PROTOCOLS, compression).headers
    except HandshakeError as error:
        raise AssertionError(f"the library refuses what the quick answer takes: {error}") from None
    assert dict(quick) == dict(slow) | {"Upgrade": "websocket"}, f"{quick}, and the library says {slow}"
