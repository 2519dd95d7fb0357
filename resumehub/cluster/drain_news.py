"""Tells the workers whether the hub is drained, so that each can say so to whoever asks for its readiness.
readiness.

A load balancer may ask any process, and none of them may wait for another to answer. So the hub's process
tells all others, on its member's thread, some moments after it has changed and once to each new link. Read
next: ``readiness.py``, ``../core/drain.py``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..core.drain import Drain
from ..errors import LinkBroken
from ..server.hub_runner import HubRunner
from .member_messages import HubDrained
from .parts import Parts


class DrainNews:
    """One process's, a part of its member. Methods: any thread; none blocks."""

    def __init__(self, runner: HubRunner, parts: Parts) -> None:
        self._runner = runner
        self.forget()
        parts.handle_at_worker({HubDrained: self._hear})
        parts.link_watchers.append(self)
        parts.tickers.append(self.tick)

    def forget(self) -> None:
        """This is a forked child, or the beginning: there is no link."""
        self._heard = Drain.NONE
        #: Link of a worker → what it was told last.
        self._told: dict[Any, str] = {}

    def drain(self, *, here: bool) -> Drain:
        """Whom the hub refuses, as far as this process knows. ``here``: whether it has the hub."""
        return self._runner.drain if here else self._heard

    def on_link(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        if at_hub and link.peer.hears_drains:
            self._told[link] = Drain.NONE.value

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        """See ``LinkWatcher``."""
        if at_hub:
            self._told.pop(link, None)
        else:
            self._heard = Drain.NONE

    def tick(self) -> None:
        """The member's thread."""
        drain = self._runner.drain.value
        for link, told in list(self._told.items()):
            if told != drain:
                self._told[link] = drain
                with suppress(LinkBroken):  # its end comes on its own thread
                    link.send(HubDrained(drain))

    def _hear(self, link: Any, message: HubDrained, descriptors: object) -> None:
        self._heard = Drain(message.drain)
