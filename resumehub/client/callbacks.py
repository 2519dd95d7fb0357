"""The application's callbacks, one at a time, on a thread of their own.

So a slow callback holds up nothing but the next one: Pings are answered, acknowledgements heard. One that
raises is logged and counted, and its message is as handled as any: the server would only send it
again, to be raised about again. The order is the inbox's. Made by ``client_loop.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..runtime.base import Runtime
from .inbox import Inbox
from .stats import ClientCounters

log = logging.getLogger("resumehub.client")

#: Callbacks that come when everything else is over.
_LAST = ("on_session_expired", "on_disconnect")


class Callbacks:
    """``functions``: hook → function, of those that there are. Methods: any thread."""

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        inbox: Inbox,
        counters: ClientCounters,
        runtime: Runtime,
    ) -> None:
        self._functions = dict(functions)
        self._inbox = inbox
        self._counters = counters
        #: Whether there are any, and ``run`` needs a thread.
        self.any = bool(functions)
        #: Set when the last one has returned.
        self.over = runtime.event("the last callback")
        if not self.any:
            self.over.set()

    def queue(self, hook: str, *arguments: Any) -> None:
        """Have a callback called, if the application has given one."""
        function = self._functions.get(hook)
        if function is not None:
            self._inbox.call(partial(function, *arguments), last=hook in _LAST)

    def run(self) -> None:
        """Call them, until the end."""
        on_message = self._functions.get("on_message")
        while (job := self._inbox.job(on_message)) is not None:
            try:
                job()
            except Exception:
                self._counters.callback_errors += 1
                log.exception("a callback of the client raised")
        self.over.set()
