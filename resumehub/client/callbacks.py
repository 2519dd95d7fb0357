"""The application's callbacks, one at a time, on a thread of their own.

So a slow callback delays nothing but the next callback: the client goes on answering Pings and reading
acknowledgements. A callback that raises, whatever it raises, is logged and counted, and its message counts as
handled like any other: the server would only send it again, and the callback would raise again. The inbox
decides the order. Made by ``client_loop.py``. Read next: ``inbox.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from .inbox import Inbox
from .stats import ClientCounters

log = Log(__name__)

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
            except BaseException as error:  # SystemExit too: a callback must not end the client's thread
                if passes(error):
                    raise
                self._counters.callback_errors += 1
                log.error("a callback of the client raised", exc_info=error)
        self.over.set()
