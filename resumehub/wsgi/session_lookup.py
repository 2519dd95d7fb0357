"""All that the request side asks of the hub: which session is meant, and may it be admitted.

``server/hub_runner.py`` answers where the hub is in this process; in another process of a cluster it is
asked over the link (``cluster/dials/``). The modules of this folder import neither of them, nor ``Hub``.
Called on request threads. Read next: ``checks.py``, ``resume_params.py``.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..config import Config
from ..core.commands import Register
from ..incoming.dialled import Dialled
from ..incoming.transport_io import HostThread
from ..reasons import RefusalReason
from ..runtime.base import Runtime
from ..session.seen_session import Found, SeenSession
from ..transport.base import Transport


class NoVerdict(Exception):
    """The hub is in another process, and can't say now what becomes of a client: answer 503.

    ``reason``: what metrics say; the text is for the log.
    """

    def __init__(self, reason: RefusalReason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class SessionLookup(Protocol):
    """Each answer holds for one moment: the hub decides again when the socket arrives.

    Threads: request threads. Blocks: only ``end_with_gap``, if the hub is in this process. If it is in
    another one, ``look``, ``may_refuse_by_close`` and ``end_with_gap`` wait for its answer, for a limited
    time.
    """

    config: Config
    runtime: Runtime
    in_cluster: bool
    """Whether several processes share the hub. Then each connection must be one that can be passed on."""

    @property
    def closing(self) -> bool:
        """Whether the hub takes no more connections."""

    def ready(self) -> bool:
        """Whether an upgrade would be served: False also when a thread that all need has died."""

    def start(self) -> object:
        """Make sure that the hub runs in this process. Raises: HubClosed; RuntimeError without threads."""

    def look(self, connection_id: str | None, key: str, received: int | None) -> Found:
        """All that the checks need to know: one look.

        ``connection_id``: whose session is meant; without one it is the v1 session whose tokens begin with
        ``key``, if that is not empty. ``received``: so many messages the client has handled. Raises:
        NoVerdict.
        """

    def may_refuse_by_close(self) -> bool:
        """Whether a request may be upgraded only for a close frame that gives the reason of the refusal.

        False also where the hub, in another process, can't be asked.
        """

    def count(self, method: str, *arguments: Any) -> None:
        """Call the metrics collector."""

    def refused(self, status: int, reason: RefusalReason, detail: str = "") -> None:
        """Count a refused upgrade, and warn the operator where only the operator can end it.

        ``detail``: what the log says beside the reason.
        """

    def admit(self, address: str, comes_back: bool, /) -> float:
        """Count a dial from ``address``; return in how many seconds it may come in, 0.0 if now.

        ``comes_back``: whether it is meant as a resume.
        """

    def give_back(self, address: str, comes_back: bool, /) -> None:
        """A dial that was admitted has found its session: it counts no more."""

    def end_with_gap(self, seen: SeenSession) -> None:
        """End a session in which its client missed messages. Blocks: until the hub thread has done so.

        Raises: NoVerdict.
        """

    def data_of(self, data: Any) -> Any:
        """What ``connection.data`` of a new session will be. Raises: TypeError, if it could not move."""

    def take(self, dialled: Dialled) -> None:
        """Hand a connection over to the hub, which writes the 101 on it; the socket is the hub's from now on.

        If the hub has gone meanwhile, the client is answered with 503, or its connection is closed.
        """

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
        """Hand over a transport that can't leave this process (TLS); return its number. Raises: NoVerdict."""

    def abort(self, number: int) -> bool:
        """Abort a transport; False if the hub thread has ended."""
