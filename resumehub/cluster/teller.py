"""Says how the cluster is, to whoever asks the hub's process: ``python -m resumehub cluster``.

On the thread of the link on which it is asked. Read next: ``member_messages.py``.
"""

from __future__ import annotations

from typing import Any

from ..clock import now
from ..errors import LinkBroken
from .member_links import WATCHER, MemberLinks
from .member_messages import ClusterAsked, ClusterTold
from .member_setting import MemberSetting


class Teller:
    """A part of a member that is told where the hub is."""

    def __init__(self, setting: MemberSetting, links: MemberLinks) -> None:
        self._set = setting
        self._links = links
        self._since = 0.0
        self._life = ""
        setting.parts.handle_at_hub({ClusterAsked: self._tell})
        setting.parts.hub_watchers.append(self)

    def on_hub_here(self, hub_life: str) -> None:
        """See ``HubWatcher``."""
        self._since, self._life = now(), hub_life

    def on_hub_gone(self) -> None:
        """See ``HubWatcher``."""

    def _tell(self, link: Any, message: ClusterAsked, descriptors: object) -> None:
        stats, greeting = self._set.runner.stats(), self._links.greeting
        peers = [one.peer for one in self._links.workers() if one.peer.kind != WATCHER]
        told = ClusterTold(
            greeting.pid,
            greeting.kind,
            greeting.application,
            self._life,
            now() - self._since,
            stats.sessions,
            stats.suspended,
            stats.rooms,
            tuple(peer.pid for peer in peers),
            tuple(peer.kind for peer in peers),
        )
        try:
            link.send(told)
        except LinkBroken:
            return  # who asked is gone
