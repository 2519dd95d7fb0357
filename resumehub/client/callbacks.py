"""The application's callbacks, one at a time, on a thread of their own.

So a slow callback delays nothing but the next callback: the client goes on answering Pings and reading
acknowledgements. A callback that raises is logged and counted, and its message counts as handled like any
other: the server would only send it again, and the callback would raise again. The inbox decides the order.
Made by ``client_loop.py``. Read next: ``inbox.py``.
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

#: Hooks whose callbacks are called behind all messages.
_LAST = ("on_session_expired", "on_disconnect")


class Callbacks:
    """``functions``: hook → the application's function; a hook may have none. Methods: any thread."""

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
        #: Set when the last callback has returned.
        self.over = runtime.event("the last callback")
        if not self.any:
            self.over.set()

    def queue(self, hook: str, *arguments: Any) -> None:
        """Have the callback of ``hook`` called, if the application has given one. Never blocks."""
        function = self._functions.get(hook)
        if function is not None:
            self._inbox.add_call(partial(function, *arguments), last=hook in _LAST)

    def run(self) -> None:
        """Call the callbacks, until the end. The callbacks' thread only; it blocks for as long as they do."""
        on_message = self._functions.get("on_message")
        while (call := self._inbox.next_call(on_message)) is not None:
            try:
                call()
            except Exception:
                self._counters.callback_errors += 1
                log.exception("a callback of the client raised")
        self.over.set()
