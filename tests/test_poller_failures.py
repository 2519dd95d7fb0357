"""A system call of the poller fails, or the poller is gone: at most one connection is lost; others go on."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from resumehub.runtime.base import Poller
from resumehub.runtime.system import SystemRuntime
from tests.contract.peers import until
from tests.support import PATIENCE, Stage, read, text


class Faulty:
    """A poller whose methods fail when the test says so: ``fails[method]`` is called with the arguments."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.fails: dict[str, Callable[..., object]] = {}

    def _call(self, method: str, *arguments: int) -> object:
        if method in self.fails:
            self.fails[method](*arguments)
        return getattr(self.poller, method)(*arguments)

    def watch(self, number: int) -> None:
        self._call("watch", number)

    def unwatch(self, number: int) -> None:
        self._call("unwatch", number)

    def wait(self) -> list[int]:
        return self._call("wait")

    def look(self) -> list[int]:
        return self._call("look")

    def wake(self) -> None:
        self._call("wake")

    def works(self) -> bool:
        return self._call("works")

    def retire(self) -> None:
        self.poller.retire()

    def close(self) -> None:
        self.poller.close()


class FaultyRuntime(SystemRuntime):
    """Hands out faulty pollers; ``made`` has them all."""

    def __init__(self) -> None:
        super().__init__(reuse=True, share=True)
        self.made: list[Faulty] = []

    def poller(self) -> Faulty:
        self.made.append(Faulty(super().poller()))
        return self.made[-1]


def failing(number: int, times: int = 1_000_000) -> Callable[..., None]:
    """Raise OSError so many times."""
    left = [times]

    def fail(*arguments: int) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number))

    return fail


def opened(stage: Callable[..., Stage], runtime: SystemRuntime):
    one = stage(_runtime=runtime)
    one.hub.on_message(lambda connection, message: connection.send(message))
    first = one.open("first")
    echoes(first)
    at_rest(one)
    return one, first


def at_rest(one: Stage) -> None:
    """Wait until the leader waits for input, with no transport in hand."""
    threads = one.hub.runner.loop.leader_followers
    tasks = threads._turns.sockets._tasks
    until(lambda: threads._polling and not any(task.in_hand for task in tasks.values()))


def echoes(ws) -> None:
    ws.send(text("n", "hello"))
    assert read(ws) == ("n", "hello")


EPERM, EBADF, EINVAL, ENOSPC = 1, 9, 22, 28


@pytest.mark.parametrize("number", [EPERM, ENOSPC, EINVAL, EBADF])
def test_a_socket_that_cannot_be_watched_costs_itself(stage, caplog, number):
    """Its session is suspended, like after any drop, and its client may come back."""
    runtime = FaultyRuntime()
    one, first = opened(stage, runtime)
    runtime.made[0].fails["watch"] = failing(number, 2)  # it is tried twice: the poller may have been gone
    lost = one.open("lost")
    assert lost.receive_close(PATIENCE) == (1006, "")
    one.recorder.wait_for("drop", "lost")
    assert len(runtime.made) == 1, "the poller works"
    assert "cannot be read any more" in caplog.text
    echoes(first)
    echoes(one.resume(lost))
    assert one.hub.ready()


@pytest.mark.parametrize("number", [EBADF, EINVAL])
def test_a_socket_that_cannot_be_taken_out_of_the_poller_costs_nothing(stage, number):
    runtime = FaultyRuntime()
    one, first = opened(stage, runtime)
    second = one.open("second")
    echoes(second)
    runtime.made[0].fails["unwatch"] = failing(number)
    second.drop()
    one.recorder.wait_for("drop", "second")
    echoes(first)
    echoes(one.open("third"))


@pytest.mark.parametrize("number", [EINVAL, EBADF])
@pytest.mark.parametrize("times", [1, 2])
def test_a_wait_that_fails_is_repeated(stage, monkeypatch, caplog, number, times):
    """Not without a pause, where it fails again and again; the log has it once."""
    monkeypatch.setattr("resumehub.incoming.leader_followers.LINGER", 0.001)
    runtime = FaultyRuntime()
    one, first = opened(stage, runtime)
    runtime.made[0].fails["wait"] = failing(number, times)
    for _ in range(3):
        echoes(first)
    assert caplog.text.count("waiting for input has failed") == 1
    assert len(runtime.made) == 1, "the poller works"
    assert one.hub.ready()


def close_the_poller(runtime: FaultyRuntime) -> None:
    runtime.made[0].poller._epoll.close()


def close_its_descriptor(runtime: FaultyRuntime) -> None:
    os.close(runtime.made[0].poller._epoll.fileno())


def give_the_bell_s_number_to_another_file(runtime: FaultyRuntime) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, runtime.made[0].poller._bell)
    os.close(null)


def close_all_of_it(runtime: FaultyRuntime) -> None:
    give_the_bell_s_number_to_another_file(runtime)
    close_its_descriptor(runtime)


def give_its_number_to_another_file(runtime: FaultyRuntime) -> None:
    os.dup2(2, runtime.made[0].poller._epoll.fileno())


@pytest.mark.parametrize(
    "harm",
    [
        close_the_poller,
        close_its_descriptor,
        give_the_bell_s_number_to_another_file,
        close_all_of_it,
        give_its_number_to_another_file,
    ],
)
def test_a_poller_that_other_code_has_closed_is_replaced(stage, harm, caplog):
    """As a program that "closes all descriptors" does. No connection is lost, and no other file is closed."""
    runtime = FaultyRuntime()
    one, first = opened(stage, runtime)
    old = runtime.made[0].poller
    epoll, bell = old._epoll.fileno(), old._bell
    harm(runtime)
    second = one.open("second")
    for _ in range(3):
        echoes(first)
        echoes(second)
    until(lambda: len(runtime.made) == 2)
    assert "the poller of the hub's sockets is gone" in caplog.text
    assert one.recorder.hooks().count("drop") == 0
    assert one.hub.ready()
    one.leave()
    os.close(bell)
    if harm is give_its_number_to_another_file:
        assert os.fstat(epoll).st_ino == os.fstat(2).st_ino, "it was closed, though it was another file's"
        os.close(epoll)


@pytest.mark.parametrize("harm", [give_the_bell_s_number_to_another_file, close_all_of_it])
def test_a_thread_that_waits_by_a_lost_poller_leaves_it(stage, harm):
    """Though no bell wakes it, and no socket: the hub can be closed."""
    runtime = FaultyRuntime()
    one, first = opened(stage, runtime)
    first.drop()
    one.recorder.wait_for("drop", "first")
    at_rest(one)
    bell = runtime.made[0].poller._bell
    harm(runtime)
    echoes(one.open("second"))
    one.leave()
    os.close(bell)


def test_while_no_poller_can_be_made_it_is_tried_again_and_again(stage, monkeypatch, caplog):
    """There are no descriptors left, for instance. Then all go on."""
    monkeypatch.setattr("resumehub.incoming.leader_followers.LINGER", 0.001)
    refused = []

    class Short(FaultyRuntime):
        def poller(self) -> Faulty:
            if self.made and len(refused) < 3:
                refused.append(1)
                raise OSError(24, "Too many open files")
            return super().poller()

    runtime = Short()
    one, first = opened(stage, runtime)
    second = one.open("second")
    echoes(second)
    for method in ("wait", "watch", "unwatch"):
        runtime.made[0].fails[method] = failing(EBADF)
    runtime.made[0].works = lambda: False  # type: ignore[method-assign]
    for _ in range(2):
        echoes(first)
        echoes(second)
    assert len(refused) == 3
    assert caplog.text.count("no poller can be made") == 1
    one.leave()
    runtime.made[0].poller.close()
