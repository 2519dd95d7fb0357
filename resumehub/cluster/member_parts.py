"""What a member and its parts know of each other: links, handlers of messages, where the hub is. Contracts.

A part is what serves calls, dials or moves, at the hub's end of a link or at a worker's. It registers its
handlers with the member before the member starts; ``member.py`` gives them to each link. Any thread. Read
next: ``member.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..server.hub_runner import HubRunner


class AnyLink(Protocol):
    """What everybody may do with a link: it sends and closes, and its messages come to handlers."""

    @property
    def peer(self) -> Any: ...
    @property
    def ended(self) -> bool: ...
    def send(self, message: object, descriptors: Sequence[int] = ()) -> None: ...
    def close(self) -> None: ...


LinkHandler = Callable[[Any, Any, tuple[int, ...]], None]
"""``handler(link, message, descriptors)``, on the link's thread: it waits for no user code and no network. It
owns the descriptors."""


class LinkWatcher(Protocol):
    """A part that is told of links. Threads: the member's, or the link's. Blocks: never.

    ``at_hub``: whether this process holds the hub's end of the link; it is a worker's end otherwise.
    """

    def on_link(self, link: Any, at_hub: bool) -> None:
        """A link is made, and its handlers are not called before this has returned."""

    def on_link_end(self, link: Any, at_hub: bool) -> None:
        """The link has been read to its end: none of its handlers is called from now on."""


@dataclass(frozen=True, slots=True)
class Here:
    """The hub is in this process."""

    runner: HubRunner
    hub_life: str


@dataclass(frozen=True, slots=True)
class Linked:
    """The hub is in another process, at the other end of ``link``."""

    link: Any
    hub_life: str


Place = Here | Linked
"""Where a hub is."""
