"""Where a client dials: a WebSocket URL, taken apart, and put together for each dial. Pure.

Its query may hold a secret (a ticket, for example): ``shown`` leaves the query out, and logs and reprs have
nothing but ``shown``. Used by ``target.py`` and ``dialing.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

#: The query parameters that are the client's own.
OURS = ("resume", "received", "attempt", "instance")


@dataclass(frozen=True, slots=True)
class Address:
    """A ``ws:`` or ``wss:`` URL; ``http:`` and ``https:`` are read as those."""

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
        """The URL without its query, for logs, reprs and errors."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"

    def with_params(self, params: Any) -> Address:
        """The same with further query parameters. Raises: TypeError; ValueError, which shows no value."""
        if not isinstance(params, Mapping):
            raise TypeError(f"params must be a mapping of str to str, not {type(params).__name__}")
        for name, value in params.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"the query parameter {name!r} must be a str with a str for its value")
        _refuse_ours([*params], "params")
        return replace(self, query=(*self.query, *params.items()))

    def target(self, **extra: str) -> str:
        """Path and query of a request, with ``extra`` in the query."""
        query = urlencode([*self.query, *extra.items()])
        return self.path + (f"?{query}" if query else "")


def read_address(url: str) -> Address:
    """Take a URL apart. Raises: TypeError; ValueError, whose text does not have the URL's query."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a str, not {type(url).__name__}")
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https"):
        raise ValueError(f"url must begin with ws://, wss://, http:// or https://, not {parts.scheme!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not hold a user name or password: give headers instead")
    if not parts.hostname:
        raise ValueError("url must have a host")
    if parts.fragment:
        raise ValueError("url must not have a fragment (RFC 6455 §3)")
    query = parse_qsl(parts.query, keep_blank_values=True)
    _refuse_ours([name for name, _ in query], "url")
    secure = parts.scheme in ("wss", "https")
    port = parts.port if parts.port is not None else 443 if secure else 80
    # What is encoded already stays as it is; a blank or an umlaut is encoded.
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return Address(secure, parts.hostname, port, path, tuple(query))


def _refuse_ours(names: list[str], where: str) -> None:
    for name in names:
        if name in OURS:
            raise ValueError(f"the query parameter {name!r} is the client's own; leave it out of {where}")
