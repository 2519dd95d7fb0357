"""The results of writing, and the contract of a writer's owner, to which they are reported. Values.

Made by ``transport_writer.py`` on any thread. Read next: ``transport_writer.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

from ..message import Frame
from .items import Gap

if TYPE_CHECKING:
    from .transport_writer import TransportWriter

Passage = Literal["barred", "passed", "begun"]
BARRED: Final = "barred"
"""Nothing has happened: the frame must be put into the outbox."""
PASSED: Final = "passed"
"""Accepted, and written as a whole."""
BEGUN: Final = "begun"
"""Accepted and half written: ``pump`` writes the rest."""


@dataclass(slots=True)
class Flushed:
    """What one round of writing did, for ``TransportWriter.report`` once the lock is released."""

    sizes: list[int] = field(default_factory=list)
    close_sent: bool = False
    failed: bool = False
    stalled: bool = False
    writer_wanted: bool = False
    left: int = 0
    #: A gap whose frame must be encoded, without the lock, before anything behind it can be written.
    unannounced: Gap | None = None

    def behind(self, before: Flushed) -> Flushed:
        """This round and the one before it, as one."""
        self.sizes[:0] = before.sizes
        self.close_sent |= before.close_sent
        self.failed |= before.failed
        self.stalled |= before.stalled
        self.writer_wanted |= before.writer_wanted
        return self


class TransportWriterOwner(Protocol):
    """Gets what a writer did (``IOThreads``). Called by any thread, without a lock."""

    def on_flushed(self, writer: TransportWriter, flushed: Flushed) -> None: ...
    def start_writer(self, writer: TransportWriter) -> None: ...
    def window_full(self, writer: TransportWriter) -> None: ...
    def encode_gap(self, writer: TransportWriter, gap: Gap) -> Frame | None: ...
