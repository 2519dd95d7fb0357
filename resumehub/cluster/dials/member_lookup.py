"""What the WSGI side of a process in a cluster asks: the hub here, or over the link the one elsewhere.

It implements ``SessionLookup``. Each call is made wholly here, behind the door, or wholly over the link
(``../door.py``). What is counted is counted here, in the process to which the client has come. Called on
request threads. Read next: ``dial_client.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...core.commands import Register
from ...core.drain import Drain
from ...incoming.dialled import Dialled
from ...incoming.transport_io import HostThread
from ...reasons import RefusalReason
from ...server.hub_runner import HubRunner
from ...session.seen_session import Found, SeenSession
from ...session.session_data import settled
from ...transport.base import Transport
from ...wsgi.session_lookup import NoVerdict
from ..door import Door
from . import dial_messages as m
from .dial_client import DialClient, HubFoundHere

Result = TypeVar("Result")

_TRIES = 3


class MemberLookup:
    """One process's. ``serve``: makes sure that this process has, or looks for, its place in the cluster.
    ``heard_drain``: whom the hub refuses, as this process has heard.
    """

    in_cluster = True

    def __init__(
        self,
        runner: HubRunner,
        door: Door,
        dials: DialClient,
        serve: Callable[[], object],
        heard_drain: Callable[[], Drain],
    ) -> None:
        self.config = runner.config
        self.runtime = runner.runtime
        self.count = runner.count
        self.refused = runner.refused
        # Each process counts the dials that it answers.
        self.admit, self.give_back = runner.admit, runner.give_back
        self.start = serve
        self._runner = runner
        self._door = door
        self._dials = dials
        self._heard_drain = heard_drain

    @property
    def closing(self) -> bool:
        """Whether this process takes no more connections."""
        return self._runner.closing

    def ready(self) -> bool:
        """Whether an upgrade would be served, as far as this process knows."""
        return self._runner.ready()

    def look(self, connection_id: str | None, key: str, received: int | None) -> Found:
        """See ``SessionLookup``."""
        self.start()
        return self._wherever(
            lambda: self._runner.look(connection_id, key, received),
            lambda: self._found_there(connection_id, key, received),
        )

    def may_refuse_by_close(self) -> bool:
        """See ``SessionLookup``."""
        try:
            # It is to be refused in any case, so how is not worth a wait.
            return self._wherever(
                self._runner.may_refuse_by_close,
                lambda: self._look_there(None, "", None, once=True).may_refuse,
            )
        except NoVerdict:
            return False

    def end_with_gap(self, seen: SeenSession) -> None:
        """See ``SessionLookup``."""
        self._wherever(lambda: self._runner.end_with_gap(seen), lambda: self._end_there(seen))

    def data_of(self, data: Any) -> Any:
        """``data`` as a move would give it. Raises: TypeError, if it could not move."""
        return settled(data) if self.config.data_codec == "json" else data

    def take(self, dialled: Dialled) -> None:
        """See ``SessionLookup``."""
        if self._door.enter():
            try:
                self._runner.take(dialled)
            finally:
                self._door.leave()
        else:
            self._dials.pass_on(dialled)

    def register(
        self,
        transport: Transport,
        registration: Register,
        *,
        data: Any,
        handshake_response: bytes,
        subprotocol: str = "",
        host: HostThread | None = None,
    ) -> int:
        """The checks let no transport come so far that can't be passed on."""
        raise AssertionError("a connection with TLS inside the server is refused with cluster=")

    def abort(self, number: int) -> bool:
        """See ``register``."""
        raise AssertionError("a connection with TLS inside the server is refused with cluster=")

    def _wherever(self, here: Callable[[], Result], there: Callable[[], Result]) -> Result:
        """Ask where the hub is. Raises: NoVerdict."""
        for _ in range(_TRIES):
            if self._door.enter():
                try:
                    return here()
                finally:
                    self._door.leave()
            try:
                return there()
            except HubFoundHere:
                continue  # it came in this moment, or is just leaving again
        raise NoVerdict(RefusalReason.HUB_AWAY, "the hub is moving or starting")

    def _found_there(self, connection_id: str | None, key: str, received: int | None) -> Found:
        found = self._look_there(connection_id, key, received).found
        # Perhaps it has changed by now; the hub decides again.
        return Found(found.seen, found.full, self._heard_drain())

    def _look_there(
        self, connection_id: str | None, key: str, received: int | None, *, once: bool = False
    ) -> m.DialLooked:
        looked: m.DialLooked = self._dials.ask(
            lambda number: m.DialLook(number, connection_id, key, received), once=once
        )
        return looked

    def _end_there(self, seen: SeenSession) -> None:
        self._dials.ask(lambda number: m.EndWithGap(number, seen.connection_id, seen.life, seen.generation))
