"""Clients that count: each sends numbers and takes down those that come, and a verdict is made of it.

::

    with Crowd(cluster, ours=4, theirs=2) as crowd:
        crowd.wait_until(echoes=20)
        ...                                  # a reload, a kill
        verdict = crowd.verdict()
    assert verdict.counts == NOTHING, verdict

``members.py`` has the clients: ours (``resumehub.v1``), and theirs (of ``websockets``), which dial once.
Meanwhile HTTP requests make the views of all workers broadcast to all and send to single clients. What was
sent is in the clients and in the journal, and so is what has come. Read next: ``verdict.py``.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from types import TracebackType

from tests.cluster.gate import until
from tests.cluster.harness import Cluster
from tests.cluster.members import Counted, Ours, Theirs
from tests.cluster.verdict import Lane, Verdict


class Load:
    """HTTP requests that make views speak, one after the other on each of ``threads``."""

    def __init__(self, cluster: Cluster, room: str, names: list[str], threads: int, pace: float) -> None:
        self.statuses: Counter[str] = Counter()
        self._cluster, self._room, self._names, self._pace = cluster, room, names, pace
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"load {number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        turn = number
        while not self._stop.wait(self._pace):
            turn += 1
            one = self._names[turn // 2 % len(self._names)]
            path = f"/send?name={one}" if turn % 2 else f"/broadcast?room={self._room}"
            try:
                status = str(self._cluster.server.get(path)[0])
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            with self._lock:
                self.statuses[status] += 1

    def stop(self) -> None:
        """Wait until the last answer has come."""
        self._stop.set()
        for thread in self._threads:
            thread.join(20.0)


class Crowd:
    """Clients of both kinds under traffic both ways. ``pace``: seconds between two rounds of numbers.

    ``window``: so many of its numbers a client leaves without an echo. ``views``: threads that ask for views.
    ``room``: where they all are, and what their names begin with. ``quiet``: after so many seconds without
    news nothing more will come. ``others``: more clients, which leave with the crowd.
    """

    def __init__(
        self,
        cluster: Cluster,
        ours: int = 4,
        theirs: int = 2,
        *,
        pace: float = 0.01,
        window: int = 4,
        views: int = 2,
        quiet: float = 2.0,
        room: str = "all",
        others: Sequence[Counted] = (),
    ) -> None:
        self._cluster, self._room = cluster, room
        self._pace, self._window, self._views, self._quiet = pace, window, views, quiet
        self._stop = threading.Event()
        self._load: Load | None = None
        self._traffic = threading.Thread(target=self._talk, name="traffic", daemon=True)
        self.members: list[Counted] = []
        try:
            for number in range(ours):
                self.members.append(Ours(cluster, f"{room}-ours-{number}", room=room))
            for number in range(theirs):
                self.members.append(Theirs(cluster, f"{room}-theirs-{number}", room=room))
            self.members += others
            for member in self.members:
                member.wait_connected()
            self._began_with = list(self.members)
        except BaseException:
            self._leave()
            raise

    def __enter__(self) -> Crowd:
        names = [member.name for member in self.members]
        for member in self.members:
            until(partial(self._cluster.journal.has, "connect", member.name), "on_connect")
        if self._views:
            self._load = Load(self._cluster, self._room, names, self._views, self._pace)
        self._traffic.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._leave()

    def add(self, member: Counted) -> Counted:
        """One more, from now on."""
        self.members.append(member)
        return member

    def renew(self, member: Counted) -> Counted:
        """A new session for a client whose session has ended."""
        kind = Ours if isinstance(member, Ours) else Theirs
        return self.add(kind(self._cluster, member.name, member.life + 1, room=self._room))

    def _leave(self) -> None:
        threads = [threading.Thread(target=member.close, daemon=True) for member in self.members]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20.0)

    def _talk(self) -> None:
        while not self._stop.wait(self._pace):
            for member in list(self.members):
                if not member.ended and member.sent - member.heard.echoes < self._window:
                    member.say()

    def wait_until(self, echoes: int, requests: int = 0) -> None:
        """Wait until each client that lives has had so many more echoes, and views so many more answers."""
        wanted = [(member, member.heard.echoes + echoes) for member in self.members]
        load = self._load
        answers = (load.statuses.total() + requests) if load is not None else 0
        until(
            lambda: (
                all(member.ended or member.heard.echoes >= n for member, n in wanted)
                and (load is None or load.statuses.total() >= answers)
            ),
            f"{echoes} more echoes and {requests} more answers",
        )

    def begin_again(self) -> None:
        """Count the gaps between echoes from now on."""
        for member in self.members:
            member.heard.begin_again()

    def stop(self) -> None:
        """Send nothing more."""
        self._stop.set()
        for member in self.members:
            member.hush()
        if self._traffic.ident is not None:
            self._traffic.join(20.0)
        if self._load is not None:
            self._load.stop()

    def verdict(self) -> Verdict:
        """Stop, let arrive what is on its way, and compare. Blocks: until all is there, or no more comes."""
        self.stop()
        verdict = self._judge()
        news = self._news()
        quiet_at = time.monotonic() + self._quiet
        while verdict.lost and time.monotonic() < quiet_at:
            self._stop.clear()
            self._stop.wait(0.02)
            if (latest := self._news()) != news:
                news, quiet_at = latest, time.monotonic() + self._quiet
            verdict = self._judge()
        return verdict

    def _news(self) -> int:
        return sum(member.heard.received for member in self.members) + self._cluster.journal.size

    def _judge(self) -> Verdict:
        verdict = Verdict(dials=sum(member.dials for member in self.members))
        verdict.refused = sum(member.refused for member in self.members)
        books = _Books(self._cluster, self._room)
        for member in self.members:
            late = member not in self._began_with
            for lane in books.lanes_of(member, late):
                verdict.add(lane)
            verdict.gaps[f"{member.name}/{member.life}"] = member.heard.gap
            verdict.troubles += [f"{member.name}: damaged {what}" for what in member.heard.damaged]
            if member.ended:
                verdict.troubles.append(f"{member.name}/{member.life} has ended: {member.why}")
        verdict.hub_pids = books.hub_pids
        verdict.speakers = books.speakers
        if self._load is not None:
            verdict.statuses = self._load.statuses
        return verdict


class _Books:
    """The journal, sorted by lane."""

    def __init__(self, cluster: Cluster, room: str) -> None:
        self.up: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.said: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        self.doubts: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        self.speakers: set[int] = set()
        hubs: dict[int, None] = {}
        for note in cluster.journal.notes():
            match note.what, note.words:
                case "up", (name, life, n):
                    self.up[name, life].append(int(n))
                    if name.startswith(f"{room}-"):
                        hubs[note.pid] = None
                case "intends", (how, who, to, n):
                    self.doubts[how, who, to].add(int(n))
                case "said", (how, who, to, n):
                    self.said[how, who, to].append(int(n))
                    self.doubts[how, who, to].discard(int(n))
                    if to == room or to.startswith(f"{room}-"):
                        self.speakers.add(note.pid)
                case "refused", (how, who, to, n, _):
                    self.doubts[how, who, to].discard(int(n))
        self.hub_pids = list(hubs)

    def lanes_of(self, member: Counted, late: bool) -> list[Lane]:
        """All lanes that begin or end at a client."""
        name, ended, lanes = member.name, member.ended, member.heard.lanes
        sent, doubtful = set(range(1, member.sent + 1)), member.doubtful
        up = self.up[name, str(member.life)]
        # What a client of ours has no doubts about was acknowledged: it was handled, whatever has happened.
        broken = ended and isinstance(member, Theirs)
        found = [
            Lane(f"{name} → server", sent - doubtful, up, doubtful, ended=broken),
            Lane(f"echo → {name}", sent - doubtful, lanes["echo", ""], doubtful, ended=ended),
        ]
        for (how, who, to), numbers in [*self.said.items()]:
            if to == (name if how == "send" else member.room):
                doubts = self.doubts[how, who, to]
                received = lanes.get((how, who), [])
                found.append(Lane(f"{how} of {who} → {name}", numbers, received, doubts, late, ended))
        unknown = [key for key in lanes if key[0] != "echo" and not self._knows(*key, member)]
        found += [Lane(f"{how} of {who} → {name}", [], lanes[how, who]) for how, who in unknown]
        return found

    def _knows(self, how: str, who: str, member: Counted) -> bool:
        key = how, who, member.name if how == "send" else member.room
        return key in self.said or key in self.doubts
