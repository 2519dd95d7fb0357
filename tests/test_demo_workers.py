"""The demo on several workers: what the processes write into one file, and who may reload them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from resumehub import HubUnavailable, SystemClock
from resumehub.demo import DemoApp, create_app
from resumehub.demo.bursts import BurstPlan, Bursts
from resumehub.demo.demo_folder import make_folder, remove_at_the_end
from resumehub.demo.shared_log import SharedLog
from resumehub.demo.timeline import MAX_SESSIONS, MAX_TRAFFIC, DemoTimeline, EventLog, handle_of
from resumehub.demo.workers import Workers, WorkersPlan, plan_workers
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock
from tests.demo_parts import HERE, ID, Receiver, as_connection
from tests.support import PATIENCE


class Processes:
    """Logs of several processes, in this one, on one file and one clock."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "timeline.sqlite")
        self.clock = FakeClock(start=100.0)
        self.logs: list[SharedLog] = []

    def another(self) -> SharedLog:
        self.logs.append(SharedLog(self.path, 100.0, self.clock, SystemRuntime()))
        return self.logs[-1]

    def written(self, *logs: SharedLog) -> SharedLog:
        """Have all written what was recorded; gives one that reads."""
        for log in logs:
            log.close(PATIENCE)
        return self.another()

    def close(self) -> None:
        for log in self.logs:
            log.close(PATIENCE)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.close()


def kinds(timeline: DemoTimeline, room: str = "r", who: str = "") -> list[str]:
    return [event.kind for event in timeline.after(room, 0, who).events]


# -- the file -------------------------------------------------------------------------


def test_what_one_process_records_all_read(processes: Processes) -> None:
    """With number, time and handle, and never with the id, which is a key."""
    first, second = processes.another(), processes.another()
    processes.clock.advance(2.5)
    first.record("opened", "r", ID, size=3)
    processes.written(first)
    second.record("moved", "r", ID, pid=7)

    page = processes.written(second).after("r", 0)

    assert [event.as_json() for event in page.events] == [
        {"seq": 1, "at": 2.5, "kind": "opened", "room": "r", "who": handle_of(ID), "size": 3},
        {"seq": 2, "at": 2.5, "kind": "moved", "room": "r", "who": handle_of(ID), "pid": 7},
    ]
    assert ID.encode() not in b"".join(path.read_bytes() for path in Path(processes.path).parent.iterdir())


def test_a_reader_goes_on_where_it_stopped(processes: Processes) -> None:
    log = processes.another()
    for number in range(5):
        log.record(str(number), "r", ID)
    reader = processes.written(log)

    first = reader.after("r", 0, limit=2)
    second = reader.after("r", first.next, limit=2)
    last = reader.after("r", second.next, limit=2)

    told = [[event.kind for event in page.events] for page in (first, second, last)]
    assert told == [["0", "1"], ["2", "3"], ["4"]]
    assert [page.more for page in (first, second, last)] == [True, True, False]
    assert reader.after("r", last.next).events == []


def test_each_story_is_bounded_and_a_quiet_one_is_not_washed_away(processes: Processes) -> None:
    log = processes.another()
    log.record("opened", "r", "a quiet visitor")
    log.record("opened", "r", ID)
    for _ in range(MAX_TRAFFIC + 5):
        log.record("sent", "r", ID)
    reader = processes.written(log)

    page = reader.after("r", 0, handle_of(ID), limit=2 * MAX_TRAFFIC)
    assert [event.kind for event in page.events] == ["opened"] + ["sent"] * MAX_TRAFFIC
    assert page.lost
    assert not reader.after("r", 7, handle_of(ID)).lost
    assert kinds(reader, who=handle_of("a quiet visitor")) == ["opened"]
    assert not reader.after("r", 0, handle_of("a quiet visitor")).lost


def test_the_story_of_who_was_silent_for_longest_is_forgotten_first(processes: Processes) -> None:
    log = processes.another()
    for number in range(MAX_SESSIONS):
        log.record("opened", "r", f"visitor {number}")
    log.record("received", "r", "visitor 0")
    log.record("opened", "r", "one too many")
    reader = processes.written(log)

    assert kinds(reader, who=handle_of("visitor 0")) == ["opened", "received"]
    assert kinds(reader, who=handle_of("visitor 1")) == []


def test_rooms_see_only_their_own_and_events_without_a_room_only_their_person(processes: Processes) -> None:
    """As ``EventLog`` does."""
    log, alone = processes.another(), EventLog()
    for timeline in (log, alone):
        timeline.record("mine", "r", ID)
        timeline.record("theirs", "r", "somebody else")
        timeline.record("elsewhere", "another room", ID)
        timeline.record("refused", "", ID)
    reader = processes.written(log)

    for timeline in (reader, alone):
        assert kinds(timeline) == ["mine", "theirs"]
        assert kinds(timeline, who=handle_of(ID)) == ["mine", "refused"]


def test_a_file_that_can_t_be_written_costs_events_and_is_told_once(
    processes: Processes, caplog: pytest.LogCaptureFixture
) -> None:
    log = processes.another()
    with closing(sqlite3.connect(processes.path)) as file, file:
        file.execute("DROP TABLE people")
    log.record("opened", "r", ID)
    log.close(PATIENCE)

    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"the demo's timeline {processes.path} can't be written, and has gaps: ")


# -- who there is ---------------------------------------------------------------------


def test_it_is_known_who_holds_the_hub_and_since_when(processes: Processes) -> None:
    """The other number is that of no process."""
    log = processes.another()
    workers = Workers(log, os.getppid())
    workers.serve()
    log.process_is_here(999_999_999)
    processes.clock.advance(5)
    workers.hub_is_here(object())
    processes.clock.advance(2)
    workers.hub_is_here(object())

    assert workers.as_json() == {
        "answered": os.getpid(),
        "processes": [{"pid": os.getpid(), "since": 0.0}],
        "hub": {"pid": os.getpid(), "since": 7.0, "moves": 1},
        "reloading": False,
        "reload_at": None,
    }
    assert log.processes() == [(os.getpid(), 0.0)]


def test_one_reload_at_a_time_and_only_of_our_own_master(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    log = processes.another()
    workers = Workers(log, os.getppid())
    workers.serve()
    processes.clock.advance(1)

    assert workers.reload()
    assert not workers.reload()
    assert workers.as_json()["reloading"]
    assert told == [(os.getppid(), signal.SIGHUP)]
    processes.clock.advance(1)
    workers.serve()  # as a new process would
    assert not workers.as_json()["reloading"]
    assert workers.reload()
    assert not Workers(log, 1).reload(), "the master has gone, and another process is our parent"


def test_the_plan_reaches_the_workers_by_their_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: became.append(arguments))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("RESUMEHUB_DEMO_WORKERS", "")
    read, write = os.pipe()
    try:
        plan = plan_workers(2, read, {"resume_window": 5.0}, ["box.lan"], False)
        plan.become_gunicorn()
        assert os.get_inheritable(read)
        assert os.get_inheritable(plan.keeper)
    finally:
        os.close(read)
        os.close(write)
    os.close(plan.keeper)

    assert became[0][1:] == ["-m", "gunicorn", "--config", "python:resumehub.demo.gunicorn_settings"]
    assert WorkersPlan.from_environment() == plan
    assert Path(plan.folder).parent == tmp_path
    assert plan.master == os.getpid()


def test_the_folder_of_a_demo_that_was_killed_is_removed_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of one that lives it is not; nor is a folder without the file, which may be about to be made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, descriptor = make_folder()
    os.close(descriptor)  # as the kernel does, for all of its processes
    (tmp_path / "resumehub-demo-new").mkdir()
    living, first = make_folder()
    latest, second = make_folder()
    os.close(first)
    os.close(second)

    assert {path.name for path in tmp_path.iterdir()} == {
        Path(living).name,
        Path(latest).name,
        "resumehub-demo-new",
    }
    assert killed not in (living, latest)


def test_the_worker_that_ends_last_removes_the_folder_when_the_master_was_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr("atexit.register", at_exit.append)
    folder, keeper = make_folder()
    another = os.dup(keeper)  # as a fork does
    killed = os.getppid() + 1
    remove_at_the_end(folder, keeper, os.getppid())
    remove_at_the_end(folder, keeper, killed)
    remove_at_the_end(folder, another, killed)
    as_usual, first, last = at_exit

    as_usual()
    first()
    assert Path(folder).exists()
    last()
    assert not Path(folder).exists()


# -- the button -----------------------------------------------------------------------


@pytest.fixture
def app(processes: Processes, tmp_path: Path) -> Iterator[DemoApp]:
    (tmp_path / "demo").mkdir()
    plan = WorkersPlan(2, os.getppid(), 3, str(tmp_path / "demo"), 4, 100.0, "a run", False, {}, [])
    app = create_app(on_workers=(plan, processes.another()))
    yield app
    assert app.hub.close().complete


@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        pytest.param(HERE, "127.0.0.1", 200, id="the page, on this machine"),
        pytest.param(HERE, "::1", 200, id="by IPv6"),
        pytest.param({}, "127.0.0.1", 403, id="from nowhere"),
        pytest.param({"Origin": "http://evil.example"}, "127.0.0.1", 403, id="another site"),
        pytest.param({"Sec-Fetch-Site": "cross-site", **HERE}, "127.0.0.1", 403, id="across sites"),
        pytest.param(HERE, "192.0.2.7", 403, id="from another machine"),
        pytest.param(HERE, "", 403, id="from who knows where"),
        pytest.param({"X-Forwarded-For": "127.0.0.1", **HERE}, "127.0.0.1", 403, id="through a proxy"),
        pytest.param({"Host": "evil.example", **HERE}, "127.0.0.1", 403, id="another name"),
    ],
)
def test_only_the_page_itself_on_this_machine_may_reload(
    app: DemoApp,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    address: str,
    status: int,
) -> None:
    told: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append(number))

    answer = Client(app).post("/reload", headers=headers, environ_overrides={"REMOTE_ADDR": address})

    assert answer.status_code == status
    assert told == ([signal.SIGHUP] if status == 200 else [])


def test_a_second_press_is_a_conflict(app: DemoApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    here: dict[str, Any] = {"headers": HERE, "environ_overrides": {"REMOTE_ADDR": "127.0.0.1"}}
    client = Client(app)

    assert client.post("/reload", **here).status_code == 200
    assert client.post("/reload", **here).status_code == 409
    assert client.get("/reload", **here).status_code == 405


def test_a_hub_that_is_busy_elsewhere_is_told_of(app: DemoApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not answered as a fault of the demo: 503, which may be asked again."""

    def asked_in_vain(connection_id: str) -> bool:
        raise HubUnavailable(None, "no answer within 2 s")

    monkeypatch.setattr(app.hub, "cut", asked_in_vain)
    answer = Client(app).post("/cut?id=0", headers=HERE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "no answer within 2 s" in answer.text


def test_the_page_is_told_whether_it_may(app: DemoApp) -> None:
    client = Client(app)

    for address, may in (("127.0.0.1", True), ("192.0.2.7", False)):
        page = client.get("/timeline?room=lobby", environ_overrides={"REMOTE_ADDR": address}).get_json()
        assert page["workers"]["may_reload"] is may
        assert [one["pid"] for one in page["workers"]["processes"]] == [os.getpid()]
        assert page["run"] == "a run", "the page must not take the other worker for a new server"


def test_one_process_has_no_workers_to_reload() -> None:
    app = create_app()
    client = Client(app)

    assert client.get("/timeline?room=lobby").get_json()["workers"] is None
    answer = client.post("/reload", headers=HERE, environ_overrides={"REMOTE_ADDR": "127.0.0.1"})
    assert answer.status_code == 404
    assert app.close().complete


# -- what goes along ------------------------------------------------------------------


def numbers(receiver: Receiver, tag: str) -> list[int]:
    return [message.payload["i"] for message in receiver.got if message.payload["tag"] == tag]


def test_a_burst_goes_on_in_the_next_process() -> None:
    """Each number once, in order: the first process has sent some, the second sends the rest."""
    runtime = SystemRuntime()
    old, new = Bursts(EventLog(), runtime), Bursts(EventLog(), runtime)
    here, there = Receiver(), Receiver()
    sent_one, sent_all = runtime.event(), runtime.event()
    here.on_send = sent_one.set
    there.on_send = lambda: sent_all.set() if len(there.got) == 6 else None
    old.arm(as_connection(here), BurstPlan(2, 0.0, "armed"))
    assert old.start(as_connection(here), BurstPlan(5, 400_000.0, "slow"))
    assert sent_one.wait(PATIENCE)

    released = old.release(as_connection(here), PATIENCE)
    assert json.loads(json.dumps(released)) == released, "it has to travel as JSON"
    (slow,) = released["under_way"]
    new.adopt(as_connection(there), {**released, "under_way": [{**slow, "seconds": 0.0}]})
    new.fire(as_connection(there))

    assert sent_all.wait(PATIENCE)
    assert numbers(here, "slow") == [1]
    assert (numbers(there, "slow"), numbers(there, "armed")) == ([2, 3, 4, 5], [1, 2])
    old.close(PATIENCE)
    new.close(PATIENCE)


def test_the_clock_is_the_same_in_all_processes(tmp_path: Path) -> None:
    """The monotonic clock of the system, so that times of two processes can be compared."""
    began = SystemClock().monotonic()
    logs = [SharedLog(str(tmp_path / "t.sqlite"), began, SystemClock(), SystemRuntime()) for _ in range(2)]
    first, second = (log.now() for log in logs)
    assert 0 <= first <= second
    for log in logs:
        log.close(PATIENCE)
