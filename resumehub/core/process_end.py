"""When a hub closes because its process ends: what is done, and at which time.

A server that was told to stop first lets the requests under way finish, and they may still send. Sessions
must not wait for them for ever: a request may be a download or a long poll. When the server's time is up, the
process is killed: no close frame is sent any more, and no callback runs. So the time is divided:

* the first third, and at most ``HOLD`` seconds: no new connections, everything else goes on;
* then, or as soon as no request is under way, the sessions end: close frames, then on_disconnect;
* shortly before the kill, connections whose peers have not answered are shut, and callbacks that still run
  are named in the log.

Pure: it is told the time and what the watcher sees. Times are of the system's clock, since a kill goes by
that, whatever clock the hub has. Called by ``server/watcher.py``, on its thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HOLD: Final = 10.0
"""Sessions wait so many seconds at most for requests under way."""

_MARGIN: Final = 2.0
# The report comes so many seconds before the kill; with little time, a third of it before.
_ABORT_AHEAD: Final = 1.0
# Connections are shut so many seconds before the report, so that their callbacks have run by then.


class EndStep(Enum):
    """What is to be done next, in this order, each once."""

    REFUSE = "accept no more connections"
    CLOSE = "end all sessions"
    ABORT = "shut the connections that are left"
    REPORT = "name the threads that are still busy, and let the process end"


@dataclass(frozen=True, slots=True)
class ServerState:
    """What is seen of the server.

    ``returned``: the main thread has left the program. ``told_to_stop``: the server was; ``under_way`` says
    whether it may still wait for requests. ``kill_after``: so many seconds after it was told, the process is
    killed; None where that is unknown.
    """

    returned: bool = False
    told_to_stop: bool = False
    under_way: bool = True
    kill_after: float | None = None


class ProcessEnd:
    """One hub's. ``patience``: how many seconds the end may take where no kill is known of."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._left = list(EndStep)
        self._close_at: float | None = None
        self._report_at: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the process ends."""
        return EndStep.REFUSE not in self._left

    def look(self, now: float, server: ServerState) -> list[EndStep]:
        """What is to be done now, in order."""
        if not self.has_begun:
            if not (server.returned or server.told_to_stop):
                return []
            self._begin(now, server)
        if EndStep.CLOSE in self._left and (server.returned or not server.under_way):
            self._close_at = now
        due: list[EndStep] = []
        while self._left and now >= self._time_of(self._left[0]):
            due.append(self._left.pop(0))
        return due

    def next_at(self) -> float | None:
        """When ``look`` should be called at the latest; None: the process does not end, or all is done."""
        return self._time_of(self._left[0]) if self.has_begun and self._left else None

    def _begin(self, now: float, server: ServerState) -> None:
        if server.kill_after is None:
            self._close_at, self._report_at = now, now + self._patience
        else:
            third = server.kill_after / 3
            self._close_at = now + min(HOLD, third)
            self._report_at = now + server.kill_after - min(_MARGIN, third)

    def _time_of(self, step: EndStep) -> float:
        if self._close_at is None or self._report_at is None or step is EndStep.REFUSE:
            return float("-inf")
        match step:
            case EndStep.CLOSE:
                return self._close_at
            case EndStep.ABORT:
                return self._report_at - min(_ABORT_AHEAD, (self._report_at - self._close_at) / 3)
            case EndStep.REPORT:
                return self._report_at
