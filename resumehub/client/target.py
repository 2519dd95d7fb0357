"""Where each dial goes, and with which headers: what the application gave, or its functions for that.

A token that is short-lived must be made for each dial. So the URL, the headers, the cookies and the query's
parameters may be functions without arguments. They are called as steps (``steps.py``) of the dial's
transport, for one dial at a time, before anything is connected: on a thread they may block, on an event loop
they may be async. What they raise ends that dial only: it is logged, and the client dials again behind a
pause. What is no function is checked at once, by ``connect``. Used by ``transport.py``. Read next:
``options.py``, ``address.py``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..runtime.base import Lock
from ..runtime.foreign_code import passes
from .address import Address, read_address
from .steps import Aborted, Steps

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
Strings = Mapping[str, str]

#: Headers of the handshake's own.
_OURS = ("host", "connection", "upgrade")


class TargetFailed(Exception):
    """The application's functions gave no target. The text shows no value; ``__cause__``: what was raised."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one dial needs. Headers and the query of ``address`` hold secrets."""

    address: Address = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    #: For ``wss:`` only.
    ssl_context: ssl.SSLContext | None = None


class Targets:
    """Makes the target of each dial. Any thread.

    Raises: TypeError, ValueError for arguments that are wrong and are no functions. ``lock``: its own.
    """

    def __init__(
        self,
        lock: Lock,
        url: str | Callable[[], str],
        headers: Headers | Callable[[], Headers] = (),
        cookies: Strings | Callable[[], Strings] | None = None,
        params: Strings | Callable[[], Strings] | None = None,
        origin: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._lock = lock
        self._given = {"url": url, "headers": headers, "cookies": cookies or {}, "params": params or {}}
        self._origin = origin
        self._context = ssl_context
        self._busy = False
        #: The address of the last dial, without its query, for logs, reprs and errors.
        self.shown = "an address that is not known yet"
        known = {name: value for name, value in self._given.items() if not callable(value)}
        if callable(url):
            known["url"] = "ws://an.example"  # to check the others
        elif ssl_context is not None and not read_address(url).secure:
            raise ValueError("ssl_context is for wss:// only")
        #: A target with what is known already.
        self.example = self._make({"headers": (), "cookies": {}, "params": {}} | known)
        # The target of every dial; None: it is made anew for each.
        self._fixed = None if any(map(callable, self._given.values())) else self.example
        if not callable(url):
            self.shown = self.example.address.shown

    def next(self) -> Steps[Target]:
        """The target of a dial. Its steps are the application's functions.

        Raises: TargetFailed, also if a function that an earlier dial has called has not returned.
        """
        if self._fixed is not None:
            return self._fixed
        with self._lock:
            if self._busy:
                raise TargetFailed("url, headers, cookies or params has not returned since an earlier dial")
            self._busy = True
        try:
            known = {}
            for name, given in self._given.items():
                known[name] = yield from self._call(name, given)
            target = self._make(known)
        except (TypeError, ValueError) as error:
            raise TargetFailed(str(error)) from None
        finally:
            with self._lock:
                self._busy = False
        self.shown = target.address.shown
        return target

    def _call(self, name: str, given: Any) -> Steps[Any]:
        if not callable(given):
            return given
        try:
            return (yield given)
        # Whatever it is: it may cost this dial, and not the thread that the client needs for it.
        except BaseException as error:
            if isinstance(error, Aborted) or passes(error):
                raise
            raise TargetFailed(f"{name} raised {type(error).__name__}") from error

    def _make(self, known: Mapping[str, Any]) -> Target:
        address = read_address(known["url"]).with_params(known["params"])
        context = self._context
        if context is None and address.secure:
            context = self._context = ssl.create_default_context()
        headers = read_headers(known["headers"], known["cookies"], self._origin)
        return Target(address, headers, context if address.secure else None)


def read_headers(headers: Any, cookies: Any, origin: str | None) -> tuple[tuple[str, str], ...]:
    """All headers of the application's. Raises: TypeError, ValueError, which name no header's value."""
    if not isinstance(headers, Iterable) or isinstance(headers, str | bytes):
        raise TypeError(f"headers must be a mapping or pairs, not {type(headers).__name__}")
    if not isinstance(cookies, Mapping):
        raise TypeError(f"cookies must be a mapping of str to str, not {type(cookies).__name__}")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    if origin is not None:
        pairs.append(("Origin", origin))
    if cookies:
        pairs.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())))
    for name, value in pairs:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"the header {name!r} must be a str with a str for its value")
        if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
            raise ValueError(f"the header {name!r} is the handshake's own; leave it out of headers")
        if any(char in "\r\n\0" for char in name + value):
            raise ValueError(f"the header {name!r} has a line break in it")
    return tuple(pairs)
