"""The one thread of a link at either end: it reads messages, calls their handlers, and writes what waits.

A handler runs on this thread and must not block on user code or on the network: all else that comes over the
link waits meanwhile. It owns the descriptors that it gets. At the end of the link, when all that the peer had
sent is handled, ``on_end`` is called once. A link that ends for what the peer sent, or because a handler
raised, costs one line in the log. Started by ``link_listener.py`` in the hub's process and by a worker's
member. Read next: ``link_codec.py``.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..runtime.base import Runtime, Thread
from ..runtime.foreign_code import Log, passes
from .link import Link, close_all
from .link_codec import MessageReader, NotAMessage

log = Log("resumehub")

Handlers = Mapping[type, Callable[[Link, Any, tuple[int, ...]], None]]
"""Class of a message → what is called with the link, the message and its descriptors."""

_CHUNK: Final = 256 * 1024
"""Bytes of one read."""


def start(link: Link, handlers: Handlers, on_end: Callable[[Link], None], runtime: Runtime) -> Thread:
    """Serve the link in a thread of its own.

    Raises: RuntimeError if none can be started; the link is closed then.
    """
    loop = LinkLoop(link, handlers, on_end)
    try:
        return runtime.spawn(f"resumehub-link-{link.peer.pid}", loop.run)
    except RuntimeError:
        link.finish("no thread could be started for it")
        raise


class LinkLoop:
    """Serves one link. ``run`` is what its thread does; it returns at the end of the link."""

    def __init__(
        self,
        link: Link,
        handlers: Handlers,
        on_end: Callable[[Link], None],
        reader: MessageReader | None = None,
    ) -> None:
        self._link = link
        self._handlers = handlers
        self._on_end = on_end
        self._reader = reader or MessageReader()

    def run(self, begin: Callable[[Link], None] | None = None) -> None:
        """Read to the end. ``begin``: called first."""
        why = "a fault of resumehub"
        try:
            if begin is not None:
                begin(self._link)
            why = self._serve()
        finally:
            self._link.finish(why)
            try:
                self._on_end(self._link)
            except BaseException as error:
                if passes(error):
                    raise
                log.exception("the end of the link to process %s could not be handled", self._link.peer.pid)

    def _serve(self) -> str:
        """Read to the end; return why the link ended."""
        link = self._link
        poller = select.poll()
        poller.register(link.stream, select.POLLIN)
        poller.register(link.bell.fileno(), select.POLLIN)
        stream, watched, wait = link.stream.fileno(), -1, None
        while True:
            events = dict(poller.poll(wait))
            on_stream = events.pop(stream, 0)
            if events or on_stream & select.POLLOUT or wait is not None:
                watched, wait = self._write(poller, watched)
            if on_stream & ~select.POLLOUT:
                try:
                    data = link.stream.recv(_CHUNK)
                except BlockingIOError:
                    continue
                except OSError as error:
                    return f"the peer is gone ({error.strerror})"
                if not data:
                    if self._reader.inside and not link.ended:
                        self._complain("it ended inside a message")
                    return "the peer has closed it"
                if (problem := self._handle(data)) is not None:
                    self._complain(problem)
                    return problem

    def _write(self, poller: select.poll, watched: int) -> tuple[int, int | None]:
        """Write what waits; return the descriptor that is watched for more, and milliseconds to wait."""
        link = self._link
        wanted, wait = link.write_on()
        if wanted != watched:
            if watched == link.stream.fileno():
                poller.modify(watched, select.POLLIN)
            elif watched >= 0:
                poller.unregister(watched)
            if wanted == link.stream.fileno():
                poller.modify(wanted, select.POLLIN | select.POLLOUT)
            elif wanted >= 0:
                poller.register(wanted, select.POLLOUT)
        return wanted, None if wait is None else int(wait * 1000)

    def _handle(self, data: bytes) -> str | None:
        """Handle what was read; return what is wrong with it, None if nothing."""
        link = self._link
        try:
            for message, count in self._reader.feed(data):
                descriptors = link.take_descriptors(count) if count else ()
                handler = self._handlers.get(type(message))
                if handler is None:
                    close_all(descriptors)
                    return f"nobody here expects a {type(message).__name__}"
                try:
                    handler(link, message, descriptors)
                except BaseException as error:
                    if passes(error):
                        raise
                    log.exception(
                        "the handler of a %s of the link to process %s raised; the link is ended",
                        type(message).__name__,
                        link.peer.pid,
                    )
                    return "a handler raised"
        except (NotAMessage, ValueError) as error:
            return str(error)
        return None

    def _complain(self, problem: str) -> None:
        if problem != "a handler raised":
            log.error("the link to process %s is ended: %s", self._link.peer.pid, problem)
