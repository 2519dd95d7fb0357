"""What a member asks to write its hub's sessions into the folder, and to read them again: a ``HubParker``.

Threads: the member's second. Blocks: for the file system, and for handlers as long as there is time. Read
next: ``parking.py``, ``../movers.py``.
"""

from __future__ import annotations

from typing import Final

from ...clock import now
from ...server.hub_runner import HubRunner
from ...session.elsewhere import Elsewhere
from ..door import Door
from ..folder import Folder
from ..movers import Carriage
from .disk import Disk
from .parking import adopt, park

_CLOSE_SHARE: Final = 0.25
"""Of the time: for clients to answer the close frame, and for on_disconnect of what is not kept."""


class FolderParker:
    """One process's. ``elsewhere``: what handles of parked sessions ask. ``park_bytes``: of the file."""

    def __init__(
        self, runner: HubRunner, door: Door, elsewhere: Elsewhere, park_bytes: int, disk: Disk
    ) -> None:
        self._runner = runner
        self._door = door
        self._elsewhere = elsewhere
        self._park_bytes = park_bytes
        self._disk = disk

    def park(self, folder: Folder, until: float) -> Carriage:
        """Write all sessions down, tell their clients to come back, and close the hub, which ends the rest.

        Blocks: until ``until``, real seconds as ``clock.now``, at most.
        """
        report = park(
            self._runner,
            folder,
            until=until - (until - now()) * _CLOSE_SHARE,
            park_bytes=self._park_bytes,
            elsewhere=self._elsewhere,
            door=self._door,
            disk=self._disk,
        )
        ended = self._runner.stats().sessions
        self._runner.close(max(0.0, until - now()))
        return Carriage(parked=report.parked, ended=ended, why=report.error or "")

    def adopt(self, folder: Folder) -> Carriage:
        """Start the hub with the sessions that are parked; then the door is open, and the hub is here.

        Handlers of on_start may call the hub at once: they wait at the door. Raises: as ``HubRunner.start``;
        then the door is as it was. Blocks: for the file system.
        """
        self._door.freeze()
        try:
            report = adopt(self._runner, folder, disk=self._disk)
        except BaseException:
            self._door.thaw()
            raise
        self._door.arrived()
        return Carriage(parked=report.adopted, ended=report.ended, why=report.error or "")
