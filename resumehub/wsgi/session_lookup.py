"""All that the request side asks of the hub: which session is meant, and may it be admitted.

``server/hub_runner.py`` answers; the modules of this folder import neither it nor ``Hub``. Called on request
threads. Read next: ``checks.py``, ``resume_params.py``.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..config import Config
from ..core.commands import Register
from ..incoming.transport_io import HostThread
from ..reasons import RefusalReason
from ..runtime.base import Runtime
from ..session.seen_session import SeenSession
from ..transport.base import Transport


class SessionLookup(Protocol):
    """Each answer holds for one moment: the hub decides again when the socket arrives. Threads: request
    threads. Blocks: never, except ``end_with_gap``."""

    config: Config
    runtime: Runtime

    @property
    def closing(self) -> bool:
        """Whether the hub takes no more connections."""

    def ready(self) -> bool:
        """Whether an upgrade would be served: False also when a thread that all need has died."""

    def start(self) -> object:
        """Make sure that the hub runs in this process. Raises: HubClosed; RuntimeError without threads."""

    def find(self, connection_id: str, received: int | None) -> SeenSession | None:
        """The session with this id, and where a client that has handled ``received`` messages would go on."""

    def find_by_key(self, key: str, received: int | None) -> SeenSession | None:
        """The same for the v1 session whose tokens begin with ``key``."""

    def is_full(self) -> bool:
        """Whether one more session would be too many."""

    def may_refuse_by_close(self) -> bool:
        """Whether a request may be upgraded only for a close frame that gives the reason of the refusal."""

    def count(self, method: str, *arguments: Any) -> None:
        """Call the metrics collector."""

    def refused(self, status: int, reason: RefusalReason, detail: str = "") -> None:
        """Count a refused upgrade, and warn the operator where only the operator can end it.

        ``detail``: what the log says beside the reason.
        """

    def end_with_gap(self, seen: SeenSession) -> None:
        """End a session in which its client missed messages. Blocks: until the hub thread has done so."""

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
        """Hand a socket over to the hub; return the transport's number."""

    def abort(self, number: int) -> bool:
        """Abort a transport; False if the hub thread has ended."""
