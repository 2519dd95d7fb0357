"""Where a client dials: a WebSocket URL taken apart, and put together for each dial. Pure.

What stands in its query may be a secret (a ticket, say): ``shown`` leaves it out, and that is all that
logs and reprs ever see. Used by ``connect`` and by ``transport.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

#: The query parameters that are the client's own.
OURS = ("resume", "received", "attempt", "instance")


@dataclass(frozen=True, slots=True)
class Address:
    """A ``ws:`` or ``wss:`` URL."""

    secure: bool
    host: str
    port: int
    path: str
    query: tuple[tuple[str, str], ...]

    @property
    def authority(self) -> str:
        """For the Host header: the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """For people, without the query."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"

    def target(self, **extra: str) -> str:
        """Path and query of a request, with ``extra`` in the query."""
        query = urlencode([*self.query, *extra.items()])
        return self.path + (f"?{query}" if query else "")


def read_address(url: str) -> Address:
    """Take a URL apart. Raises: ValueError, which says what is wrong, and not the URL's query."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss"):
        raise ValueError(f"url must begin with ws:// or wss://, not {parts.scheme!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not hold a user name or password: give headers instead")
    if not parts.hostname:
        raise ValueError("url must have a host")
    if parts.fragment:
        raise ValueError("url must not have a fragment (RFC 6455 §3)")
    query = parse_qsl(parts.query, keep_blank_values=True)
    taken = [name for name, _ in query if name in OURS]
    if taken:
        raise ValueError(f"the query parameter {taken[0]!r} is the client's own; leave it out of url")
    secure = parts.scheme == "wss"
    port = parts.port if parts.port is not None else 443 if secure else 80
    # What stands encoded stays so; what a user typed raw (a blank, an umlaut) is encoded.
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return Address(secure, parts.hostname, port, path, tuple(query))
