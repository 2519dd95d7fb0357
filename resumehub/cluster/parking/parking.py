"""Parks a hub at a full stop, and adopts what was parked at a start.

``park``: callbacks end, everything stops, all sessions are written down, and only when the file is durable do
their clients hear of it. ``adopt``: before the first dial is decided, so that the sessions are there again,
in their rooms. What can't be kept ends by name, in the log and in the report. Threads: the member's, which
holds the folder's lock. Read next: ``park_file.py``, ``../../server/hub_parking.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...clock import now, wall
from ...errors import ClusterError, HubClosed, SessionStateError
from ...runtime.foreign_code import Log
from ...runtime.garbage import no_cycles_sought
from ...server.history import HistoryState
from ...server.hub_arrival import HubArrival
from ...server.hub_parking import HubParking, name_of
from ...server.hub_runner import HubRunner
from ...session.elsewhere import Elsewhere
from ...session.parked_state import adopted
from ...session.plain_values import PlainValueError, dump, load
from ...session.session_state import decode
from ..door import Door
from ..folder import Folder
from .disk import Disk
from .park_file import HISTORY, SESSION, ParkHead, Record, Written, forget_park, take_park, write_park

log = Log(__name__)

TOO_OLD = 24 * 3600.0
"""After so many seconds parked sessions only end."""

_RELEASE_SHARE = 0.25
"""Of the time: for handlers that still run."""

_LAST_SECOND = 0.1
"""Of the time: to make the file durable, and to tell the clients."""

_NAMED = 20
"""So many sessions that end are named in the log."""


@dataclass(frozen=True, slots=True)
class ParkReport:
    """What became of a hub's sessions. ``ended``: those that are not in the file, with the reason.

    ``error``: why there is no file at all; then the hub goes on as it was. ``size``: bytes of the file.
    """

    parked: int = 0
    ended: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    size: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What was adopted. ``ended``: how many sessions were in the file and can't go on; the log names them.

    ``error``: why the file could not be taken. ``too_old``: they were parked for too long, and only end.
    """

    adopted: int = 0
    ended: int = 0
    error: str | None = None
    too_old: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class _Names:
    """The sessions of a file that is being written: epoch → name, and who is left out already."""

    of: dict[int, str] = field(default_factory=dict)
    ended: list[tuple[str, str]] = field(default_factory=list)


def park(
    runner: HubRunner,
    folder: Folder,
    *,
    until: float,
    park_bytes: int,
    elsewhere: Elsewhere,
    door: Door | None = None,
    hub_life: str = "",
    release: str = "",
    disk: Disk | None = None,
) -> ParkReport:
    """Write all sessions down in the folder, then close their connections with 1012.

    ``until``: real seconds, as ``clock.now``. ``elsewhere``: what kept handles ask from then on. ``door``:
    shut meanwhile, and ``gone`` afterwards; it opens again where nothing could be written. ``release``: of
    resumehub, for the file. Next: close the hub, which ends what is not in the file. Raises: nothing for the
    file system: the report and the log say it. Blocks: until about ``until``.
    """
    loop, began = runner.loop, now()
    if loop is None or loop.died:
        return ParkReport()
    parking = HubParking(loop, runner.runtime)
    parking.release(began + (until - began) * _RELEASE_SHARE)
    if door is not None and not door.freeze(max(0.0, until - now())):
        parking.thaw()
        return ParkReport(error="a thread that called the hub has not returned", seconds=now() - began)
    try:
        names = _Names()
        head = ParkHead(wall(), hub_life, release)
        latest = until - (until - began) * _LAST_SECOND
        with no_cycles_sought():
            parking.freeze()
            written = write_park(
                disk or Disk(),
                folder,
                head,
                _records(parking, names),
                limit=park_bytes,
                in_time=lambda: now() < latest,
            )
    except (ClusterError, HubClosed) as error:
        log.error("%s", error)
        _thaw(parking, door)
        return ParkReport(error=str(error), seconds=now() - began)
    except BaseException:  # a bug of ours: the sessions are here, so they must not be in a file as well
        with contextlib.suppress(OSError):
            (disk or Disk()).delete(folder.parked)
        _thaw(parking, door)
        raise
    kept = {key for key in written.kept if key}
    parking.commit_parked(kept, elsewhere)
    if door is not None:
        door.gone()
    return _reported(folder, parking, names, written, now() - began)


def _thaw(parking: HubParking, door: Door | None) -> None:
    parking.thaw()
    if door is not None:
        door.thaw()


def _records(parking: HubParking, names: _Names) -> Iterator[Record]:
    history = parking.history()
    if history is not None and history.broadcasts:
        yield Record(HISTORY, dump(history))
    for session in parking.written_down():
        if session.because:
            names.ended.append((session.name, session.because))
        else:
            names.of[session.epoch] = session.name
            yield Record(SESSION, session.data, session.epoch)


def _reported(
    folder: Folder, parking: HubParking, names: _Names, written: Written, seconds: float
) -> ParkReport:
    staying = [(name_of(one.session), one.because) for one in parking.staying]
    left_out = [(names.of[key], why) for key, why in written.left_out.items() if key]
    ended = (*names.ended, *staying, *left_out)
    parked = len(names.of) - len(left_out)
    log.debug(
        "parked %d sessions in %s (%d bytes, %.2f s); %d end",
        *(parked, folder.parked, written.size, seconds, len(ended)),
    )
    for name, why in ended[:_NAMED]:
        log.warning("a session is not parked, and ends: %r (%s)", name, why)
    if len(ended) > _NAMED:
        log.warning("sessions that are not parked either, and end: %d more", len(ended) - _NAMED)
    return ParkReport(parked, ended, None, written.size, seconds)


def adopt(runner: HubRunner, folder: Folder, *, disk: Disk | None = None) -> AdoptReport:
    """Start the hub, and let all parked sessions go on in it; then on_start and each on_adopt begin.

    Each session's window begins now. Raises: RuntimeError, HubClosed, as ``HubRunner.start``; nothing for the
    file system: the report and the log say it. Blocks: for the file system and the hub thread; for no
    handler.
    """
    began, disk = now(), disk or Disk()
    loop = runner.start(begins=False)
    try:
        reader = take_park(disk, folder)
    except ClusterError as error:
        log.error("%s", error)
        loop.beginning.run()
        return AdoptReport(error=str(error), seconds=now() - began)
    arrival = HubArrival(loop, runner.runtime)
    if reader is None:
        loop.beginning.run()
        return AdoptReport(seconds=now() - began)
    too_old = wall() - reader.head.parked_at > TOO_OLD
    found = 0
    with no_cycles_sought():
        for record in reader.records:
            found += record.kind == SESSION
            _hold(arrival, record, ends=too_old)
        here = arrival.adopt()
    forget_park(disk, folder)
    log.debug(
        "adopted %d sessions from %s, which had been parked for %.0f s (%.2f s)%s",
        *(here, folder.parked, max(0.0, wall() - reader.head.parked_at), now() - began),
        "; they end, after more than a day" if too_old else "",
    )
    return AdoptReport(here, found - here, None, too_old, now() - began)


def _hold(arrival: HubArrival, record: Record, *, ends: bool) -> None:
    """Have one record go on here. The log names a session that can't."""
    try:
        if record.kind == SESSION:
            arrival.hold(adopted(decode(record.data), ends=ends), None)
        elif record.kind == HISTORY:
            arrival.hold_history(load(HistoryState, record.data))
    except SessionStateError as error:
        log.error("a parked session ends: %s", error)
    except PlainValueError as error:
        log.error("the parked history of the rooms is lost: %s", error)
