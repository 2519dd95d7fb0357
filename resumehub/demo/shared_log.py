"""The timeline of a demo on several workers: one file, in which each process writes what its hub did.

The page asks whichever worker answers, and the hub moves between them. So what happened is in a database
(SQLite), with the times of one clock: the monotonic clock of a host is the same in all its processes. Bounded
as ``EventLog`` is. It also knows which processes there are and which of them holds the hub. Hub threads call
``record``, which only puts the event into a queue; a thread of its own writes. Made in a worker, never before
a fork. Read next: ``timeline.py``, ``workers.py``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

from resumehub.clock import Clock
from resumehub.demo.timeline import (
    MAX_MILESTONES,
    MAX_SESSIONS,
    MAX_TRAFFIC,
    PAGE_SIZE,
    TRAFFIC,
    Detail,
    LoggedEvent,
    Page,
    handle_of,
)
from resumehub.runtime.base import Runtime
from resumehub.runtime.foreign_code import Log

log = Log(__name__)

_PATIENCE: Final = 5.0
"""Seconds that a process waits for another one that writes."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, kind TEXT, room TEXT, who TEXT, traffic INT, detail TEXT);
CREATE INDEX IF NOT EXISTS events_of ON events (who, traffic, seq);
CREATE TABLE IF NOT EXISTS people (who TEXT PRIMARY KEY, newest INT, overwritten INT DEFAULT 0);
CREATE TABLE IF NOT EXISTS processes (pid INTEGER PRIMARY KEY, since REAL);
CREATE TABLE IF NOT EXISTS hubs (number INTEGER PRIMARY KEY AUTOINCREMENT, pid INT, since REAL);
CREATE TABLE IF NOT EXISTS reloads (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL);
"""


class SharedLog:
    """An ``EventLog`` for all processes that open the same file. ``began_at``: on the monotonic clock.

    Threads: any. Blocks: the look-ups, for the file; ``record`` never. Raises: sqlite3.Error from look-ups.
    """

    def __init__(self, path: str, began_at: float, clock: Clock, runtime: Runtime) -> None:
        self._path = path
        self._began_at = began_at
        self._clock = clock
        self._queue = runtime.mailbox()
        self._broken = False
        with self._open() as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.executescript(_SCHEMA)
        self._writer = runtime.spawn("demo-timeline", self._write_all)

    def now(self) -> float:
        """Seconds since the timeline began, the same in all processes. Blocks: never."""
        return self._clock.monotonic() - self._began_at

    def record(self, kind: str, room: str, connection_id: str, **detail: Detail) -> None:
        """Append one event, soon. Threads: any. Blocks: never. Raises: nothing."""
        self._queue.put((self.now(), kind, room, handle_of(connection_id), detail))

    def after(self, room: str, seq: int, who: str = "", limit: int = PAGE_SIZE) -> Page:
        """As ``EventLog.after``."""
        wanted, names = "room = ?", [room]
        if who:
            wanted, names = "who = ? AND room IN (?, '')", [who, room]
        with self._open() as file:
            file.execute("BEGIN")  # all three see the same events
            newest = file.execute("SELECT COALESCE(MAX(seq), 0) FROM events").fetchone()[0]
            rows = file.execute(
                f"SELECT seq, at, kind, room, who, detail FROM events WHERE seq > ? AND {wanted} "
                "ORDER BY seq LIMIT ?",
                [seq, *names, limit + 1],
            ).fetchall()
            lost = file.execute(
                "SELECT COUNT(*) FROM people WHERE overwritten > ? AND ? IN (who, '')", [seq, who]
            ).fetchone()[0]
        events = [
            LoggedEvent(seq, at, kind, room, who, json.loads(detail))
            for seq, at, kind, room, who, detail in rows[:limit]
        ]
        more = len(rows) > limit
        return Page(events, events[-1].seq if more else newest, more, bool(lost))

    # -- processes --------------------------------------------------------------------------

    def process_is_here(self, pid: int) -> None:
        """Enter a process that serves."""
        with self._open() as file:
            file.execute("INSERT OR REPLACE INTO processes VALUES (?, ?)", [pid, self.now()])

    def process_is_gone(self, pid: int) -> None:
        """Forget a process."""
        with self._open() as file:
            file.execute("DELETE FROM processes WHERE pid = ?", [pid])

    def processes(self) -> list[tuple[int, float]]:
        """The process ids that were entered, and since when, the oldest first."""
        with self._open() as file:
            return file.execute("SELECT pid, since FROM processes ORDER BY since, pid").fetchall()

    def hub_is_here(self, pid: int) -> None:
        """Enter the process that holds the hub from now on."""
        with self._open() as file:
            file.execute("INSERT INTO hubs (pid, since) VALUES (?, ?)", [pid, self.now()])

    def hub(self) -> tuple[int, float, int] | None:
        """Which process holds the hub, since when, and how many it came through before; None at first."""
        with self._open() as file:
            found = file.execute(
                "SELECT pid, since, number - 1 FROM hubs ORDER BY number DESC LIMIT 1"
            ).fetchone()
        return found and (found[0], found[1], found[2])

    def begin_reload(self) -> None:
        """Enter that all processes that there are now are going to be replaced."""
        with self._open() as file:
            file.execute("INSERT INTO reloads (at) VALUES (?)", [self.now()])

    def last_reload(self) -> float | None:
        """When the latest reload began."""
        with self._open() as file:
            found: float | None = file.execute("SELECT MAX(at) FROM reloads").fetchone()[0]
            return found

    def close(self, timeout: float) -> None:
        """Write what was recorded before, and stop. Blocks: up to ``timeout`` seconds."""
        self._queue.put(_END)
        self._writer.join(timeout)

    # -- the file ---------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE)) as file:
            file.execute("PRAGMA synchronous = OFF")
            with file:
                yield file

    def _write_all(self) -> None:
        while True:
            batch = [self._queue.get()]
            while (another := self._queue.get(0)) is not None:
                batch.append(another)
            ending = _END in batch
            self._write([one for one in batch if one is not _END])
            if ending:
                return

    def _write(self, batch: list[Any]) -> None:
        if not batch:
            return
        try:
            with self._open() as file:
                file.execute("BEGIN IMMEDIATE")
                for at, kind, room, who, detail in batch:
                    values = [at, kind, room, who, kind in TRAFFIC, json.dumps(detail)]
                    seq = file.execute(_INSERT, values).lastrowid
                    file.execute(_TOUCH, [who, seq])
                for who in {event[3] for event in batch}:
                    _forget(file, who, False, MAX_MILESTONES)
                    _forget(file, who, True, MAX_TRAFFIC)
                _forget_people(file)
        except sqlite3.Error as error:
            if not self._broken:
                log.warning("the demo's timeline %s can't be written, and has gaps: %s", self._path, error)
            self._broken = True


_END: Final = object()

_INSERT: Final = "INSERT INTO events (at, kind, room, who, traffic, detail) VALUES (?, ?, ?, ?, ?, ?)"

_TOUCH: Final = (
    "INSERT INTO people (who, newest) VALUES (?, ?) ON CONFLICT (who) DO UPDATE SET newest = excluded.newest"
)


def _forget(file: sqlite3.Connection, who: str, traffic: bool, most: int) -> None:
    """Keep the newest ``most`` of one kind of events of a session."""
    found = file.execute(
        "SELECT seq FROM events WHERE who = ? AND traffic = ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        [who, traffic, most],
    ).fetchone()
    if found is None:
        return
    file.execute("DELETE FROM events WHERE who = ? AND traffic = ? AND seq <= ?", [who, traffic, found[0]])
    file.execute("UPDATE people SET overwritten = MAX(overwritten, ?) WHERE who = ?", [found[0], who])


def _forget_people(file: sqlite3.Connection) -> None:
    """Forget the sessions without an event for longest, once there are too many."""
    rows = file.execute("SELECT who FROM people ORDER BY newest DESC LIMIT -1 OFFSET ?", [MAX_SESSIONS])
    for (who,) in rows.fetchall():
        file.execute("DELETE FROM events WHERE who = ?", [who])
        file.execute("DELETE FROM people WHERE who = ?", [who])
