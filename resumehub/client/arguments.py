"""What both kinds of ``connect`` are given, checked: wrong arguments raise at once, in the caller's thread.

Any thread; never blocks. Used by ``client/__init__.py`` and ``aio/__init__.py``. Read next: ``options.py``.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import SystemRandom
from random import random as ordinary_chance
from secrets import token_hex
from typing import Any

from ..clock import Clock, SystemClock
from ..codec import Codec, JSONCodec
from ..handlers import check_handler
from .client_loop import ClientLoop
from .dialing import AddressOrder, Opener
from .options import Options, positive
from .states import ClientRules
from .steps import ClientShell
from .target import Targets

HOOKS = {
    "on_message": ("message",),
    "on_transport_drop": ("error",),
    "on_transport_restore": (),
    "on_session_expired": ("error",),
    "on_disconnect": ("error",),
    "on_missed": ("first", "last"),
    "on_rejected": ("message", "error"),
}
"""What a callback gets behind the client."""


@dataclass(frozen=True, slots=True)
class ConnectArguments:
    """What ``connect`` was given; see there, and docs/reference/client.md. ``check`` first."""

    url: Any
    callbacks: Mapping[str, Callable[..., Any] | None]
    plain: bool
    resume: bool
    headers: Any
    cookies: Any
    params: Any
    subprotocols: Sequence[str]
    origin: str | None
    ssl_context: ssl.SSLContext | None
    codec: Codec | None
    send_buffer: int
    send_buffer_bytes: int
    max_requests: int
    max_message_size: int
    backoff: tuple[float, float]
    max_retries: int | None
    open_timeout: float
    heartbeat_margin: float
    silence_timeout: float | None
    clock: Clock | None
    random: Callable[[], float] | None

    def loop_maker(
        self, shell: ClientShell, opener: Opener, order: AddressOrder, *, awaited: bool
    ) -> Callable[[Mapping[str, Callable[..., Any]]], ClientLoop]:
        """Check all, and give what makes the client's loop of its callbacks.

        ``awaited``: the shell awaits what a callback returns, so that it may be async.
        Raises: TypeError, ValueError.
        """
        options = self._options(shell, opener, order)
        positive("send_buffer", self.send_buffer)
        positive("send_buffer_bytes", self.send_buffer_bytes)
        positive("max_requests", self.max_requests)
        for hook, function in self.callbacks.items():
            if function is not None:
                check_handler(function, hook, "client", *HOOKS[hook], awaited=awaited)

        def make(callbacks: Mapping[str, Callable[..., Any]]) -> ClientLoop:
            return ClientLoop(
                options,
                callbacks,
                self.clock or SystemClock(),
                shell,
                self.send_buffer,
                self.send_buffer_bytes,
                int(self.max_requests),
            )

        return make

    def _options(self, shell: ClientShell, opener: Opener, order: AddressOrder) -> Options:
        targets = Targets(
            shell.runtime.lock("the targets"),
            self.url,
            self.headers,
            self.cookies,
            self.params,
            self.origin,
            self.ssl_context,
        )
        initial, cap = self.backoff
        positive("backoff[0]", initial)
        if positive("backoff[1]", cap) < initial:
            raise ValueError(
                f"backoff is (first, longest): the longest must not be the shorter: {self.backoff!r}"
            )
        if self.max_retries is not None:
            positive("max_retries", self.max_retries, zero=True)
        if self.silence_timeout is not None:
            positive("silence_timeout", self.silence_timeout)
        options = Options(
            targets=targets,
            rules=ClientRules(
                plain=self.plain,
                resume=self.resume,
                initial=initial,
                cap=cap,
                max_retries=self.max_retries,
                open_timeout=positive("open_timeout", self.open_timeout),
                heartbeat_margin=positive("heartbeat_margin", self.heartbeat_margin),
                silence_timeout=self.silence_timeout,
            ),
            codec=self.codec if self.codec is not None else JSONCodec(),
            opener=opener,
            order=order,
            subprotocols=tuple(self.subprotocols),
            max_message_size=int(positive("max_message_size", self.max_message_size)),
            random=self.random or SystemRandom().random,
            phase=self.random or ordinary_chance,
            nonce=token_hex(8),
            request_prefix=token_hex(4),
        )
        # Can it be written at all?
        options.wire(targets.example, resume=False, offer=not self.plain, asked=0, attempt=1, token="")
        return options
