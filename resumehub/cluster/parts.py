"""The parts of a member by what they want to be told: messages of links, links, where the hub is, ticks.

A part is registered before the member starts; then the member's loop and the threads of links tell all of
them. A part that raises costs one line in the log. Read next: ``member_parts.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..runtime.foreign_code import Log, passes
from .member_parts import LinkHandler, LinkWatcher

log = Log(__name__)


class HubWatcher(Protocol):
    """A part that is told where the hub is, on the member's thread. Blocks: never."""

    def on_hub_here(self, hub_life: str) -> None: ...
    def on_hub_gone(self) -> None: ...


class Parts:
    """All parts of one member.

    ``hub_handlers``, ``worker_handlers``: for messages at either end of a link. ``needs``: whether a part
    still waits for the hub's word. ``leavers``: told once that the process takes no part any more, while its
    link is still there.
    """

    def __init__(self) -> None:
        self.hub_handlers: dict[type, LinkHandler] = {}
        self.worker_handlers: dict[type, LinkHandler] = {}
        self.link_watchers: list[LinkWatcher] = []
        self.hub_watchers: list[HubWatcher] = []
        self.tickers: list[Callable[[], None]] = []
        self.needs: list[Callable[[], bool]] = []
        self.leavers: list[Callable[[], None]] = []

    def handle_at_hub(self, handlers: Mapping[type, LinkHandler]) -> None:
        self.hub_handlers.update(handlers)

    def handle_at_worker(self, handlers: Mapping[type, LinkHandler]) -> None:
        self.worker_handlers.update(handlers)

    def on_link(self, link: Any, at_hub: bool) -> None:
        for part in self.link_watchers:
            tell(part.on_link, link, at_hub)

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        for part in self.link_watchers:
            tell(part.on_link_end, link, at_hub)

    def on_hub_here(self, hub_life: str) -> None:
        for part in self.hub_watchers:
            tell(part.on_hub_here, hub_life)

    def on_hub_gone(self) -> None:
        for part in self.hub_watchers:
            tell(part.on_hub_gone)

    def tick(self) -> None:
        for ticker in self.tickers:
            tell(ticker)

    def need_the_hub(self) -> bool:
        return any(need() for need in self.needs)

    def on_leave(self) -> None:
        for leaver in self.leavers:
            tell(leaver)


def tell(what: Callable[..., None], *arguments: Any) -> None:
    """Call it; one that raises is logged, and the others are told all the same."""
    try:
        what(*arguments)
    except BaseException as error:
        if passes(error):
            raise
        log.error("a part of the cluster has failed; please report this", exc_info=error)
