"""The links of one process: one to the hub while it is a worker, one from each worker while it holds the hub.

It also knows what the workers have said of themselves, and so who could take the hub. Any thread, unless a
method says otherwise. Read next: ``member_loop.py``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..clock import now
from ..core.cluster.membership import MemberEvent
from ..core.cluster.stopping import Candidate, Kind
from ..errors import ClusterRefused, LinkBroken, NoHub
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log
from .calls.call_messages import Answer
from .folder import Folder
from .greetings import Greeting, Refused, Welcome, answer
from .ground import HOST, Ground, Listener
from .link import Link
from .link_thread import start
from .member_messages import MemberStatus
from .member_parts import Linked
from .parts import Parts
from .whereabouts import Whereabouts

log = Log(__name__)

KINDS: Final = {"hub": Kind.HUB_ALONE, "threads": Kind.THREADS, "sync": Kind.SYNC}
"""What a process greets as → the kind; all others are no candidates for the hub."""


WATCHER: Final = "watcher"
"""What a process greets as that only asks how the cluster is."""

SILENT: Final = 3.0
"""Seconds without a word of its status, which each process sends once a second."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a worker has said of itself, and when that came."""

    status: MemberStatus
    at: float


class MemberLinks:
    """``post``: called with what happens to the link to the hub, on that link's thread."""

    def __init__(
        self,
        folder: Folder,
        greeting: Greeting,
        parts: Parts,
        whereabouts: Whereabouts,
        runtime: Runtime,
        post: Callable[[MemberEvent], None],
        ground: Ground = HOST,
    ) -> None:
        self._folder = folder
        self.greeting = greeting
        self._parts = parts
        self._whereabouts = whereabouts
        self._runtime = runtime
        self._post = post
        self._ground = ground
        self._listener: Listener | None = None
        self._lock = runtime.lock("the workers' links")
        self._workers: dict[Link, _Told | None] = {}
        self._numbers: dict[int, Link] = {}
        self._serial = itertools.count(1)
        self._takes_links = ""
        self._in_the_way = ""
        self._refused_because = ""
        #: The link to the hub, while this process is a worker.
        self.hub_link: Link | None = None
        self.pid = greeting.pid
        #: Of the last process that held the hub and to which there was a link; 0 before one.
        self.last_hub_pid = 0
        #: The numbers of all processes that ever were here.
        self.seen = {greeting.pid}
        parts.handle_at_hub({MemberStatus: self._take_status})

    # -- a worker ---------------------------------------------------------------------------

    def connect(self, timeout: float) -> MemberEvent:
        """Connect to the hub. The member's thread. Blocks: up to ``timeout`` real seconds.

        Returns: LINKED; NOBODY where nobody listens; REFUSED where a hub does not answer, or sends us away.
        """
        whereabouts = self._whereabouts
        try:
            link, welcome = self._ground.connect(self._folder, self.greeting, self._runtime, timeout)
        except NoHub:
            whereabouts.set_nowhere("no process holds it yet")
            return MemberEvent.NOBODY
        except ClusterRefused as error:
            whereabouts.set_nowhere(str(error))
            if error.code != "not_now" and str(error) != self._refused_because:
                self._refused_because = str(error)
                log.error("this process can't take part in the cluster: %s", error)
            return MemberEvent.REFUSED
        except (TimeoutError, OSError) as error:
            whereabouts.set_nowhere(f"the process that holds it does not answer ({error})")
            return MemberEvent.REFUSED
        link.hub_life = welcome.hub_life
        self.hub_link = link
        self.last_hub_pid = link.peer.pid
        self.seen.add(link.peer.pid)
        self._parts.on_link(link, False)
        try:
            start(link, self._parts.worker_handlers, self._hub_link_ended, self._runtime, quick={Answer})
        except RuntimeError as error:
            self.hub_link = None
            self._parts.on_link_end(link, False)
            whereabouts.set_nowhere(f"no thread could be started for its link ({error})")
            return MemberEvent.REFUSED
        self._whereabouts.set(Linked(link, welcome.hub_life))
        return MemberEvent.LINKED

    def say(self, status: MemberStatus) -> None:
        """Tell the hub of this process, if there is a link."""
        link = self.hub_link
        if link is not None:
            try:
                link.send(status)
            except (LinkBroken, OSError):
                return  # its end is told by its thread

    def unlink(self) -> None:
        """End the link to the hub."""
        link = self.hub_link
        if link is not None:
            link.close()

    def _hub_link_ended(self, link: Link) -> None:
        self._parts.on_link_end(link, False)
        if link is self.hub_link:
            self.hub_link = None
            self._post(MemberEvent.LINK_ENDED)

    # -- the hub ----------------------------------------------------------------------------

    def listen(self, hub_life: str) -> None:
        """Take links for the hub in this process. The member's thread.

        Where that is not possible the log says why; next: ``listen_again``, now and then.
        """
        self._takes_links = hub_life
        self._in_the_way = ""
        self.listen_again()

    def listen_again(self) -> None:
        """Try to take links, if that was not possible before. The member's thread."""
        if not self._takes_links or self._listener is not None:
            return
        try:
            self._listener = self._ground.listen(
                self._folder,
                self._greet,
                self._parts.hub_handlers,
                self._link_made,
                self._link_ended,
                self._runtime,
            )
        except (OSError, RuntimeError) as error:
            if str(error) != self._in_the_way:
                self._in_the_way = str(error)
                log.error(
                    "no process can reach the hub of %s: %s; it is tried again each second",
                    self._folder.path,
                    error,
                )
            return
        if self._in_the_way:
            log.warning("processes can reach the hub of %s again", self._folder.path)

    def listen_anew(self) -> None:
        """The folder was cleaned up, so the socket's name may be gone: bind another one. The links stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self.listen_again()

    def hush(self, keep: Link | None = None) -> None:
        """Take no more links, and end those that there are but ``keep``. The member's threads."""
        self._takes_links = ""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            # While the hub's byte is held: nobody else has a socket of this name.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._folder.socket)
        for link in self.workers():
            if link is not keep:
                link.close()

    def candidates(self) -> list[Candidate]:
        """The processes that could take the hub.

        One that has fallen silent is not ready: it is stopped, or held up, and would not take it.
        """
        with self._lock:
            found = [(number, link, self._workers[link]) for number, link in self._numbers.items()]
        heard_since = now() - SILENT
        return [
            Candidate(
                number,
                KINDS[link.peer.kind],
                told.status.master,
                link.peer.master_started,
                link.peer.started,
                told.status.room,
                told.status.ready and not link.ended and told.at > heard_since,
            )
            for number, link, told in found
            if told is not None and link.peer.kind in KINDS
        ]

    def link_of(self, candidate: Candidate) -> Link | None:
        """The link to a candidate; None if it has ended."""
        with self._lock:
            return self._numbers.get(candidate.number)

    def workers(self) -> list[Link]:
        """The links of the workers."""
        with self._lock:
            return list(self._workers)

    def _greet(self, theirs: Greeting) -> Welcome | Refused:
        if theirs.kind == WATCHER:  # of our user; it has no application
            theirs = replace(theirs, application=self.greeting.application)
        if not self._takes_links:
            return Refused("not_now", "the hub is moving; it takes links again in a moment")
        return answer(self.greeting, theirs, self._takes_links)

    def _link_made(self, link: Link) -> None:
        self._parts.on_link(link, True)
        with self._lock:
            self._workers[link] = None
            self._numbers[next(self._serial)] = link
        if not self._takes_links:  # it hushed meanwhile
            link.close()

    def _link_ended(self, link: Link) -> None:
        with self._lock:
            self._workers.pop(link, None)
            self.seen.add(link.peer.pid)
            self._numbers = {number: one for number, one in self._numbers.items() if one is not link}
        self._parts.on_link_end(link, True)

    def _take_status(self, link: Any, message: MemberStatus, descriptors: object) -> None:
        with self._lock:
            if link in self._workers:
                self._workers[link] = _Told(message, now())
                # Not before: until it has said that it is ready it still comes, and is no target yet.
                self.seen.add(link.peer.pid)
