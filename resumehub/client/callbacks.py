"""The application's callbacks, one at a time, as steps of a worker of their own (``steps.py``).

So a slow callback delays nothing but the next callback: the client goes on answering Pings and reading
acknowledgements. A callback that raises, whatever it raises, is logged and counted, and its message counts as
handled like any other: the server would only send it again, and the callback would raise again. The inbox
decides the order. Made by ``client_loop.py``. Read next: ``inbox.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..message import Message
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from .inbox import Inbox
from .stats import ClientCounters
from .steps import Steps

log = Log(__name__)

#: Hooks whose callbacks are called behind all messages.
_LAST = ("on_session_expired", "on_disconnect")


class Callbacks:
    """``functions``: hook → the application's function; a hook may have none. Methods: any thread.

    ``serve``: makes of ``on_message`` the steps that also answer requests (``responder.py``).
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        serve: Callable[[Callable[[Message], Any]], Callable[[Message], Steps[Any]]],
        inbox: Inbox,
        counters: ClientCounters,
        runtime: Runtime,
    ) -> None:
        self._functions = dict(functions)
        on_message = self._functions.get("on_message")
        self._on_message = serve(on_message) if on_message is not None else None
        self._inbox = inbox
        self._counters = counters
        #: Whether there are any, and ``steps`` need a worker.
        self.any = bool(functions)
        #: Set when the last callback has returned.
        self.over = runtime.event("the last callback")
        if not self.any:
            self.over.set()

    def queue(self, hook: str, *arguments: Any) -> None:
        """Have the callback of ``hook`` called, if the application has given one. Never blocks."""
        function = self._functions.get(hook)
        if function is not None:
            self._inbox.add_call(partial(_one_step, partial(function, *arguments)), last=hook in _LAST)

    def steps(self) -> Steps[None]:
        """Call the callbacks, until the end. The callbacks' worker only."""
        while (call := (yield partial(self._inbox.next_call, self._on_message))) is not None:
            try:
                yield from call()
            except BaseException as error:  # SystemExit too: a callback must not end the client's thread
                if passes(error):
                    raise
                self._counters.callback_errors += 1
                log.error("a callback of the client raised", exc_info=error)
        self.over.set()


def _one_step(call: Callable[[], Any]) -> Steps[Any]:
    return (yield call)
