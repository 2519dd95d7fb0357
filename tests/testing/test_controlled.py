"""The door under control: locks, conditions, events, queues and sockets as in life, in every order."""

from __future__ import annotations

import socket
import threading

import pytest

from resumehub import Message
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import Lab
from resumehub.testing.controlled import ControlledRuntime
from resumehub.testing.lab_threading import Threading
from resumehub.testing.scheduler import Scheduler
from resumehub.testing.strategies import Exhaustive
from resumehub.testing.tasks import Deadlock
from tests.testing.toy_threads import Scene, outcomes, stage

# -- like the real ones ------------------------------------------------------------------------


@pytest.fixture(params=["of the operating system", "under control"])
def runtime(request: pytest.FixtureRequest):
    """Both doors: what holds for one must hold for the other."""
    if request.param == "of the operating system":
        yield SystemRuntime()
        return
    with stage() as (_, controlled):
        yield controlled


def test_a_lock_is_held_by_one_at_a_time(runtime) -> None:
    lock = runtime.lock()
    assert lock.acquire()
    assert not lock.acquire(blocking=False)
    assert not lock.acquire(timeout=0.01)
    lock.release()
    with lock:
        assert not lock.acquire(blocking=False)
    assert lock.acquire(blocking=False)
    lock.release()
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()


def test_a_wait_with_a_timeout_ends_without_a_notification(runtime) -> None:
    lock = runtime.lock()
    changed = runtime.condition(lock)
    with changed:
        assert not changed.wait(0.01)
        assert not lock.acquire(blocking=False)  # and has the lock again


def test_an_event_stays_set(runtime) -> None:
    event = runtime.event()
    assert not event.wait(0.01)
    event.set()
    assert event.is_set()
    assert event.wait()


def test_a_mailbox_gives_what_was_put_first_first(runtime) -> None:
    mailbox = runtime.mailbox()
    assert mailbox.get(0) is None
    assert mailbox.get(0.01) is None
    mailbox.put("a")
    mailbox.put("b")
    assert [mailbox.get(), mailbox.get(0), mailbox.get(0)] == ["a", "b", None]


def test_a_thread_wakes_another(runtime) -> None:
    lock = runtime.lock()
    changed = runtime.condition(lock)
    log: list[str] = []

    def wait() -> None:
        with changed:
            while "change" not in log:
                changed.wait()
            log.append("seen")

    def change() -> None:
        with changed:
            log.append("change")
            changed.notify()

    threads = [runtime.spawn(f"x-{one.__name__}-1", one) for one in (wait, change)]
    assert all(thread.join(20) for thread in threads)
    assert log == ["change", "seen"]
    assert not any(thread.is_alive() for thread in threads)


def test_a_socket_wakes_who_waits_for_it(runtime) -> None:
    near, far = socket.socketpair()
    got: list[bytes] = []

    def read() -> None:
        runtime.before_receive(near)
        got.append(near.recv(10))

    with near, far:
        thread = runtime.spawn("x-reader-1", read)
        assert not thread.join(0.01)
        far.send(b"hello")
        assert thread.join(20)
        runtime.wait_writable(near)
    assert got == [b"hello"]


# -- in every order ----------------------------------------------------------------------------


def test_a_counter_without_a_lock_loses_counts_and_one_with_a_lock_does_not() -> None:
    """The race that every course begins with, in all its orders."""

    def scene(guarded: bool) -> Scene:
        def play(scheduler: Scheduler, runtime: ControlledRuntime):
            lock, count = runtime.lock(), [0]

            def add() -> None:
                before = count[0]
                scheduler.pause("write")
                count[0] = before + 1

            def add_guarded() -> None:
                with lock:
                    add()

            for name in "ab":
                scheduler.spawn(name, add_guarded if guarded else add)
            return lambda: count[0]

        return play

    assert set(outcomes(scene(guarded=False))) == {1, 2}
    assert set(outcomes(scene(guarded=True))) == {2}


def test_a_notification_wakes_one_and_all_of_them_wake_all() -> None:
    def play(scheduler: Scheduler, runtime: ControlledRuntime):
        lock = runtime.lock()
        changed = runtime.condition(lock)
        waiting: list[str] = []
        woken: list[str] = []

        def wait(name: str) -> None:
            with changed:
                waiting.append(name)
                changed.wait()
                woken.append(name)

        for name in "ab":
            scheduler.spawn(name, lambda name=name: wait(name))
        scheduler.run_until_idle()

        def change() -> None:
            with changed:
                changed.notify()
            scheduler.pause("wait for the first", lambda: woken == waiting[:1])
            with changed:
                changed.notify_all()

        scheduler.spawn("change", change)
        return lambda: woken == waiting  # who has waited longest is woken first

    assert set(outcomes(play)) == {True}


def test_a_wait_that_is_over_needs_the_lock_before_it_goes_on() -> None:
    log: list[str] = []
    with stage() as (scheduler, runtime):
        lock = runtime.lock("the door")
        changed = runtime.condition(lock)

        def wait() -> None:
            with changed:
                changed.wait(1)
                log.append("waited")

        waiter = scheduler.spawn("waiter", wait)
        scheduler.run_until_idle()
        assert lock.acquire()
        scheduler.expire(waiter)
        scheduler.run_until_idle()
        assert log == []
        assert waiter.position() == "waiter: lock the door, which the test holds"
        lock.release()
        scheduler.run_until_idle()
    assert log == ["waited"]


def test_a_lock_that_is_never_given_back_is_a_deadlock_of_the_test_too() -> None:
    with stage() as (_, runtime):
        lock = runtime.lock("the door")
        lock.acquire()
        with pytest.raises(Deadlock, match="about to lock the door, which the test holds, and no thread can"):
            lock.acquire()


def test_a_socket_that_was_closed_holds_nobody_back() -> None:
    """Its number may be another's by now."""
    near, far = socket.socketpair()
    with stage() as (scheduler, runtime):
        scheduler.spawn("reader", lambda: runtime.wait_readable(near))
        scheduler.run_until_idle()
        assert scheduler.tasks
        near.close()
        scheduler.run_until_idle()
        assert not scheduler.tasks
        runtime.wait_readable(near)
    far.close()


def test_a_socket_whose_number_is_anothers_now_holds_nobody_back() -> None:
    near, far = socket.socketpair()
    with stage() as (scheduler, runtime):
        scheduler.spawn("reader", lambda: runtime.wait_readable(near))
        scheduler.run_until_idle()
        number = near.fileno()
        near.close()
        others = socket.socketpair()  # takes the lowest free number
        assert number in [other.fileno() for other in others]
        scheduler.run_until_idle()
        assert not scheduler.tasks
    for one in (far, *others):
        one.close()


# -- where the stops are -----------------------------------------------------------------------


def positions_in(lab: Lab) -> set[str]:
    return {str(step).split(",")[0] for step in lab.scheduler.trace}


@pytest.mark.parametrize("everywhere", [False, True], ids=["at the hub's queue", "at every lock"])
def test_the_hubs_threads_stop(everywhere: bool) -> None:
    """Named after the connection, so that a schedule can be read."""
    with Lab(stop_at_locks=everywhere) as lab:
        lab.open()
        alice = lab.dial("/?id=alice")
        lab.run_until_idle()
        alice.drop()
        lab.run_until_idle()
        seen = positions_in(lab)
    assert {"reader of alice: wait for input", "reader of alice: tell the hub"} <= seen
    assert ("hub: lock the outbox of alice" in seen) == everywhere


def test_the_applications_threads_stop_at_every_lock() -> None:
    """Between two sends of a handler, too, another thread may come."""
    with Lab(stop_at_locks=False) as lab:
        hub = lab.open()

        @hub.on_connect
        def greet(connection) -> None:
            connection.send(Message("hello"))

        @lab.actor
        def application() -> None:
            hub.connections("lobby")

        lab.dial("/?id=alice")
        lab.run_until_idle()
        lab.play()
        seen = positions_in(lab)
    assert {
        "reader of alice: lock the outbox of alice",
        "application: lock the members of room lobby",
    } <= seen
    assert "hub: lock the outbox of alice" not in seen


def test_a_made_up_id_is_not_in_the_trace() -> None:
    """It is a secret, and another one in every run, which would make no two runs equal."""
    with Lab() as lab:
        hub = lab.open()
        ws = lab.dial("/")
        lab.run_until_idle()
        (made_up,) = [connection.id for connection in hub.connections("lobby")]
        ws.drop()
        lab.run_until_idle()
        assert "reader of transport 1: wait for input" in positions_in(lab)
        assert not any(made_up in str(step) for step in lab.scheduler.trace)


# -- an application's own ----------------------------------------------------------------------


def test_an_applications_own_threading_comes_under_control() -> None:
    """``lab.threading`` in place of the module: a lost update of the application's own is found."""

    def scene(guarded: bool) -> Scene:
        def play(scheduler: Scheduler, runtime: ControlledRuntime):
            threading = Threading(scheduler, runtime)
            tick, lock, count = threading.Event(), threading.RLock(), [0]

            def add() -> None:
                if guarded:
                    with lock, lock:
                        update()
                else:
                    update()

            def update() -> None:
                before = count[0]
                tick.wait()
                count[0] = before + 1

            def main() -> None:
                threads = [threading.Thread(target=add, name=name) for name in "ab"]
                for thread in threads:
                    thread.start()
                tick.set()
                for thread in threads:
                    thread.join()
                assert not any(thread.is_alive() for thread in threads)

            scheduler.spawn("main", main)
            return lambda: count[0]

        return play

    assert set(outcomes(scene(guarded=False), Exhaustive(1))) == {1, 2}
    assert set(outcomes(scene(guarded=True), Exhaustive(1))) == {2}


def test_what_does_not_wait_is_the_real_modules() -> None:
    with stage() as (scheduler, runtime):
        assert Threading(scheduler, runtime).current_thread is threading.current_thread


def test_misuse_of_a_lock_or_a_thread_is_refused_as_in_life() -> None:
    with stage() as (scheduler, runtime):
        mine = Threading(scheduler, runtime)
        with pytest.raises(RuntimeError, match="un-acquired"):
            mine.RLock().release()
        thread = mine.Thread(target=int)
        with pytest.raises(RuntimeError, match="before it is started"):
            thread.join()
        thread.start()
        with pytest.raises(RuntimeError, match="only be started once"):
            thread.start()
        with pytest.raises(AssertionError, match="needs a target"):
            mine.Thread()


def test_a_condition_of_the_applications_waits_for_what_it_needs() -> None:
    def play(scheduler: Scheduler, runtime: ControlledRuntime):
        changed = Threading(scheduler, runtime).Condition()
        basket: list[int] = []

        def take() -> None:
            with changed:
                changed.wait_for(lambda: len(basket) == 2)
                basket.clear()

        def put() -> None:
            for number in range(2):
                with changed:
                    basket.append(number)
                    changed.notify_all()

        scheduler.spawn("take", take)
        scheduler.spawn("put", put)
        return lambda: len(basket)

    assert set(outcomes(play, Exhaustive(2))) == {0}
