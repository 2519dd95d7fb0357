"""Two ends of a link in one process, over real sockets, with or without the threads that serve them."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from typing import Any

from resumehub.cluster.greetings import HIGHEST_VERSION, Greeting
from resumehub.cluster.link import Link, close_all
from resumehub.cluster.link_thread import Handlers, start
from resumehub.runtime.base import Runtime, Thread
from resumehub.runtime.system import SystemRuntime
from tests.support import PATIENCE


def a_greeting(number: int = 1, kind: str = "threads", application: str = "chat") -> Greeting:
    """Of a process that is made up: ``number`` is its pid, and the end of its name."""
    return Greeting(f"{number:032x}", number, kind, application)


def linked_pair(
    runtime: Runtime | None = None, ours: Greeting | None = None, theirs: Greeting | None = None
) -> tuple[Link, Link]:
    """Both ends of a link. No thread serves them yet: ``serve`` does, or ``link_thread.start``.

    The first one is at the process ``ours``, so its ``peer`` is ``theirs``.
    """
    runtime = runtime or SystemRuntime()
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    packets, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return (
        Link(one, packets, theirs or a_greeting(2), HIGHEST_VERSION, runtime),
        Link(other, others, ours or a_greeting(1), HIGHEST_VERSION, runtime),
    )


class Received:
    """What came over a link, in order: messages with their descriptors, and its end as None."""

    def __init__(self) -> None:
        self._came: queue.Queue[Any] = queue.Queue()

    def handle(self, link: Link, message: Any, descriptors: tuple[int, ...]) -> None:
        """For ``Handlers``."""
        self._came.put((message, descriptors))

    def end(self, link: Link) -> None:
        """For ``on_end``."""
        self._came.put(None)

    def next(self) -> Any:
        """The next message, when it comes; close its descriptors. None for the end."""
        found = self._came.get(timeout=PATIENCE)
        if found is None:
            return None
        message, descriptors = found
        close_all(descriptors)
        return message

    def next_with_descriptors(self) -> tuple[Any, tuple[int, ...]]:
        """The next message with its descriptors: close them."""
        found: tuple[Any, tuple[int, ...]] = self._came.get(timeout=PATIENCE)
        return found


def serve(
    link: Link,
    handlers: Handlers,
    on_end: Callable[[Link], None] = lambda link: None,
    *,
    runtime: Runtime | None = None,
) -> Thread:
    """Start the thread of one end."""
    return start(link, handlers, on_end, runtime or SystemRuntime())
