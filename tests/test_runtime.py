"""The one place from which threads come: what the hub may rely on, whatever runtime it is given."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from resumehub.runtime.stacks import stack_of
from resumehub.runtime.system import SystemRuntime
from tests.support import PATIENCE, Call

RUNTIME = SystemRuntime()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def fill(sock: socket.socket) -> None:
    try:
        while True:
            sock.send(bytes(1 << 16), socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass


# -- locks and events --------------------------------------------------------------------------


def test_a_lock_lets_one_in() -> None:
    lock = RUNTIME.lock()
    with lock:
        assert not lock.acquire(blocking=False)
        assert not Call(lambda: lock.acquire(blocking=False)).result()
    assert lock.acquire(blocking=False)
    lock.release()


def test_a_condition_shares_its_lock() -> None:
    """A thread that waits lets others in, and has the lock again before it goes on."""
    lock = RUNTIME.lock()
    condition = RUNTIME.condition(lock)
    steps: list[str] = []

    def wait() -> None:
        with lock:
            steps.append("waiting")
            assert condition.wait(PATIENCE)
            steps.append("woken")

    waiting = Call(wait)
    while True:
        with lock:
            if steps:
                steps.append("waking")
                condition.notify()
                break
    waiting.result()
    assert steps == ["waiting", "waking", "woken"]


def test_a_condition_says_when_its_time_is_over() -> None:
    lock = RUNTIME.lock()
    with lock:
        assert RUNTIME.condition(lock).wait(0) is False


def test_all_who_wait_can_be_woken() -> None:
    lock = RUNTIME.lock()
    condition = RUNTIME.condition(lock)
    arrived: list[int] = []

    def wait(number: int) -> None:
        with lock:
            arrived.append(number)
            assert condition.wait(PATIENCE)

    waiting = [Call(lambda number=number: wait(number)) for number in range(5)]
    while True:
        with lock:
            if len(arrived) == 5:
                condition.notify_all()
                break
    for one in waiting:
        one.result()


def test_an_event_stays_set() -> None:
    event = RUNTIME.event()
    assert not event.is_set()
    assert event.wait(0) is False
    waiting = Call(lambda: event.wait(PATIENCE))
    event.set()
    assert waiting.result() is True
    assert event.is_set()
    assert event.wait() is True


# -- mailboxes ---------------------------------------------------------------------------------


def test_a_mailbox_gives_in_the_order_in_which_it_was_given() -> None:
    mailbox = RUNTIME.mailbox()
    for number in range(1000):
        mailbox.put(number)
    assert [mailbox.get() for _ in range(1000)] == list(range(1000))


@pytest.mark.parametrize("timeout", [0, 0.0, -1, -1e9, 0.001])
def test_an_empty_mailbox_gives_none_when_the_time_is_over(timeout: float) -> None:
    """A deadline in the past is no error: the hub was only late."""
    assert RUNTIME.mailbox().get(timeout) is None


@pytest.mark.parametrize("timeout", [None, PATIENCE, 315_360_000.0, 1e30])
def test_a_mailbox_waits_for_the_next_item(timeout: float | None) -> None:
    """None: for ever. Also for longer than the system can wait at once."""
    asked, answers = RUNTIME.mailbox(), RUNTIME.mailbox()
    answering = Call(lambda: [answers.put(asked.get(timeout)) for _ in range(50)])
    for number in range(50):  # from the second on, it waits already as likely as not
        asked.put(number)
        assert answers.get(PATIENCE) == number
    answering.result()


def test_a_mailbox_gives_what_is_there_however_long_it_might_wait() -> None:
    mailbox = RUNTIME.mailbox()
    mailbox.put("here")
    assert mailbox.get(1e30) == "here"


# -- threads -----------------------------------------------------------------------------------


def test_a_thread_has_its_name_and_says_when_it_has_ended() -> None:
    gate = threading.Event()
    thread = RUNTIME.spawn("resumehub-test", lambda: gate.wait(PATIENCE))
    assert thread.name == "resumehub-test"
    assert thread.is_alive()
    assert not thread.join(0)
    assert not thread.join(-5)
    gate.set()
    assert thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_holds_the_process_up_only_if_it_is_meant_to(daemon: bool) -> None:
    kinds: list[bool] = []
    thread = RUNTIME.spawn("t", lambda: kinds.append(threading.current_thread().daemon), daemon=daemon)
    assert thread.join(PATIENCE)
    assert kinds == [daemon]


def test_a_thread_knows_itself() -> None:
    """How hub.close, called from a callback, finds out that it must not wait for itself."""
    seen: list[bool] = []
    handed = threading.Event()
    made: list = []

    def look() -> None:
        assert handed.wait(PATIENCE)
        seen.extend([made[0].is_current(), RUNTIME.current().is_current()])

    made.append(RUNTIME.spawn("t", look))
    handed.set()
    assert made[0].join(PATIENCE)
    assert seen == [True, True]
    assert not made[0].is_current()
    assert RUNTIME.current().is_current()
    assert RUNTIME.current().name == threading.current_thread().name


def test_a_thread_is_not_taken_for_one_that_has_ended() -> None:
    """The system gives a number again, and who has ended may count as alive for a moment."""
    for _ in range(1000):
        ended = RUNTIME.spawn("ended", lambda: None, daemon=False)
        assert ended.join(PATIENCE)
        old = next(value for value in vars(ended).values() if isinstance(value, threading.Thread))
        new = Call(lambda ended=ended: (ended.is_current(), threading.get_ident()))
        taken_for_it, number = new.result()
        assert not taken_for_it
        if number == old.ident:
            return
    raise AssertionError("the system has given no number again")


def test_the_stack_of_a_thread_shows_where_it_is_stuck() -> None:
    gate, inside = threading.Event(), threading.Event()

    def stuck_in_here() -> None:
        inside.set()
        gate.wait(PATIENCE)

    thread = RUNTIME.spawn("t", stuck_in_here)
    assert inside.wait(PATIENCE)
    assert "stuck_in_here" in thread.stack()
    gate.set()
    assert thread.join(PATIENCE)
    assert thread.stack() == ""


def test_no_more_threads_is_a_runtime_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised to the caller, who can give up one socket instead of all."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        RUNTIME.spawn("t", lambda: None)


AFTER_MAIN = """
import threading
from resumehub.runtime.stacks import stack_of
from resumehub.runtime.system import SystemRuntime
runtime = SystemRuntime()
print("before", runtime.main_thread_returned())
def look():
    threading.main_thread().join()
    print("after", runtime.main_thread_returned())
runtime.spawn("look", look, daemon=False)
"""


def test_it_knows_that_the_main_thread_has_returned() -> None:
    """That is how a server's SIGTERM is noticed without a hook."""
    assert not RUNTIME.main_thread_returned()
    assert not Call(RUNTIME.main_thread_returned).result()
    command = [sys.executable, "-c", AFTER_MAIN]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.split() == ["before", "False", "after", "True"]


WITH_A_JOB = """
import threading
from concurrent.futures import ThreadPoolExecutor
from resumehub.runtime.stacks import stack_of
from resumehub.runtime.system import SystemRuntime
runtime, noticed, never = SystemRuntime(), threading.Event(), threading.Event()
def look():
    while not runtime.main_thread_returned():
        never.wait(0.01)
    print("the main thread is alive:", threading.main_thread().is_alive())
    noticed.set()
runtime.spawn("look", look, daemon=False)
ThreadPoolExecutor().submit(noticed.wait, 30)
"""


def test_it_knows_that_the_main_thread_waits_only_for_an_executor() -> None:
    """gunicorn's request threads are of one, and Python waits for them before the main thread has ended."""
    command = [sys.executable, "-c", WITH_A_JOB]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "the main thread is alive: True"


# -- sockets -----------------------------------------------------------------------------------


def test_waiting_to_read_ends_with_input(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    waiting = Call(lambda: RUNTIME.wait_readable(ours))
    theirs.send(b"x")
    waiting.result()
    RUNTIME.wait_readable(ours)


def test_waiting_to_write_ends_with_room(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    RUNTIME.wait_writable(ours)
    fill(ours)
    waiting = Call(lambda: RUNTIME.wait_writable(ours))
    while True:
        try:
            theirs.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
    waiting.result()


@pytest.mark.parametrize("how", ["the peer closes", "another thread shuts it down"])
@pytest.mark.parametrize("wait", ["wait_readable", "wait_writable"])
def test_every_wait_ends_when_the_connection_does(
    pair: tuple[socket.socket, socket.socket], wait: str, how: str
) -> None:
    """That is the only timeout there is: a deadline acts by shutting the socket down."""
    ours, theirs = pair
    fill(ours)
    waiting = Call(lambda: getattr(RUNTIME, wait)(ours))
    if how == "the peer closes":
        theirs.close()
    else:
        ours.shutdown(socket.SHUT_RDWR)
    waiting.result()
    getattr(RUNTIME, wait)(ours)


def test_descriptors_beyond_1023_can_be_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    """select could not; thousands of sessions can't do without."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2048 if hard == resource.RLIM_INFINITY else min(2048, hard)
    assert wanted > 1100, "this machine allows too few descriptors for the test"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        import fcntl

        high = fcntl.fcntl(pair[0], fcntl.F_DUPFD_CLOEXEC, 1050)
        with socket.socket(fileno=high) as ours:
            pair[1].send(b"x")
            RUNTIME.wait_readable(ours)
            RUNTIME.wait_writable(ours)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("enabled", [True, False], ids=["collector on", "collector off"])
def test_no_garbage_is_collected_while_the_stacks_of_all_threads_are_taken(monkeypatch, enabled) -> None:
    """Python up to 3.11.8 may hang for ever if it is; see the comment in ``runtime/stacks.py``."""
    seen: list[bool] = []
    take = sys._current_frames
    monkeypatch.setattr(sys, "_current_frames", lambda: (seen.append(gc.isenabled()), take())[1])
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        assert __file__ in stack_of(threading.get_ident())
        assert (seen, gc.isenabled()) == ([False], enabled)
    finally:
        (gc.enable if before else gc.disable)()
