"""Calls of a worker when links end, and when hubs move, come and are killed: once each, or in doubt."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resumehub import Hub, Message, RequestInDoubt
from resumehub.codec import encode_frame
from resumehub.errors import HubUnavailable
from resumehub.server.local_calls import LocalCalls
from tests.cluster.calling import Process
from tests.contract.peers import until
from tests.contract.test_e_asking import answer, asked
from tests.support import Call, Stage, read


class Three:
    """Two processes that may hold the hub, one after the other, and a worker."""

    def __init__(self, stage: Callable[..., Stage]) -> None:
        self.stages = stage(), stage()
        self.one, self.other = (Process(number, s.hub) for number, s in enumerate(self.stages, 1))
        for s in self.stages:
            s.open("u1")
        self.worker = Process(3)
        self.hub: Hub = self.worker.hub
        self.one.holds_the_hub("a life")

    def move(self) -> None:
        """The hub's books go to the other process; its sessions stay out of this."""
        self.one.member.door.freeze()
        books = self.one.server.export()
        self.other.server.adopt(books)
        self.one.member.door.gone()
        self.other.holds_the_hub("a life")

    def heard(self, stage: int) -> list[Any]:
        """What the client of a process has got."""
        runner = self.stages[stage].hub.runner  # wherever the test says that the hub is
        LocalCalls(runner).send("u1", encode_frame(runner.codec, Message("last")))
        ws, texts = self.stages[stage].clients[0], []
        while (said := read(ws)) != ("last", None):
            texts.append(said[1])
        return texts

    def leave(self) -> None:
        self.one.end_links()
        self.other.end_links()
        self.worker.leave()


@pytest.fixture
def three(stage: Callable[..., Stage]) -> Iterator[Three]:
    made = Three(stage)
    yield made
    made.leave()


def lose(answers: list[Any]) -> Callable[[Any], bool]:
    """Loses each answer, and keeps it in the list."""

    def watch(answer: Any) -> bool:
        answers.append(answer)
        return False

    return watch


def wait_for(condition: Callable[[], Any], call: Call) -> None:
    while not condition():
        assert call.is_under_way()


def send(three: Three, payload: Any) -> Call:
    return Call(lambda: three.hub.send("u1", Message("n", payload)))


def test_an_answer_that_was_lost_is_answered_again_and_not_executed_twice(three: Three) -> None:
    """The link breaks between the answer and the worker; the next link leads to the same hub."""
    lost: list[Any] = []
    link = three.worker.link_to(three.one, lose(lost))
    call = send(three, "once")
    wait_for(lambda: lost, call)
    link.close()
    three.worker.link_to(three.one)
    call.result()
    assert three.heard(0) == ["once"]


def test_an_answer_that_was_lost_in_a_move_is_answered_by_the_next_process(three: Three) -> None:
    """The hub's new process knows what was executed."""
    lost: list[Any] = []
    link = three.worker.link_to(three.one, lose(lost))
    call = send(three, "once")
    wait_for(lambda: lost, call)
    three.move()
    link.close()
    three.worker.link_to(three.other)
    call.result()
    assert (three.heard(0), three.heard(1)) == (["once"], [])


def test_a_call_that_finds_the_door_shut_waits_and_does_not_hold_its_link(three: Three) -> None:
    """What comes over the same link meanwhile, of the move itself for example, is handled."""
    three.worker.link_to(three.one)
    three.one.member.door.freeze()
    calls = [send(three, number) for number in range(3)]
    wait_for(lambda: three.one.server.waits() == 3, calls[0])
    three.one.member.door.thaw()
    for call in calls:
        call.result()
    assert sorted(three.heard(0)) == [0, 1, 2]


def test_a_call_that_finds_the_hub_gone_is_made_at_the_next_process(three: Three) -> None:
    """It waited at the door when the hub left, and was not executed there."""
    link = three.worker.link_to(three.one)
    three.one.member.door.freeze()
    call = send(three, "there")
    wait_for(lambda: three.one.server.waits() == 1, call)
    three.other.server.adopt(three.one.server.export())
    three.one.member.door.gone()
    three.other.holds_the_hub("a life")
    link.close()
    three.worker.link_to(three.other)
    call.result()
    assert (three.heard(0), three.heard(1)) == ([], ["there"])


def test_a_hub_that_comes_to_the_calling_process_answers_there(three: Three) -> None:
    """The call was executed before the move; its answer came too late for the link."""
    lost: list[Any] = []
    link = three.other.link_to(three.one, lose(lost))
    call = Call(lambda: three.other.hub.send("u1", Message("n", "once")))
    wait_for(lambda: lost, call)
    three.move()
    link.close()
    call.result()
    assert (three.heard(0), three.heard(1)) == (["once"], [])


def test_a_call_that_finds_the_hub_leaving_this_process_sleeps_until_it_is_said_to_be_elsewhere(
    three: Three,
) -> None:
    """The door says that it has left, and nobody knows yet where it is. The call looks twice, no more."""
    three.one.member.door.gone()
    call = Call(lambda: three.one.hub.send("u1", Message("n", "there")))
    wait_for(three.one.member.waits_for_it_to_leave.is_set, call)
    assert three.one.member.looks == 2
    three.other.holds_the_hub("a life")
    three.one.link_to(three.other)
    call.result()
    assert (three.one.member.looks, three.heard(1)) == (3, ["there"])


def test_a_call_under_way_is_made_here_when_the_hub_comes_here(three: Three) -> None:
    """It was not executed before the move: the hub does it where it is now."""
    link = three.other.link_to(three.one)
    three.one.member.door.freeze()
    call = Call(lambda: three.other.hub.send("u1", Message("n", "here")))
    wait_for(lambda: three.one.server.waits() == 1, call)
    three.other.server.adopt(three.one.server.export())
    three.one.member.door.gone()
    three.other.holds_the_hub("a life")
    link.close()
    call.result()
    assert (three.heard(0), three.heard(1)) == ([], ["here"])


def test_when_the_hub_comes_here_it_forgets_the_answers_that_have_come(
    three: Three, monkeypatch: Any
) -> None:
    """The call that would have confirmed them was never read: else they would take up all the room."""
    monkeypatch.setattr("resumehub.core.cluster.calls.MOST_OPEN", 1)
    link = three.other.link_to(three.one)
    three.other.hub.send("u1", Message("n", "there"))
    three.one.member.door.freeze()
    call = Call(lambda: three.other.hub.send("u1", Message("n", "here")))
    wait_for(lambda: three.one.server.waits() == 1, call)
    three.other.server.adopt(three.one.server.export())
    three.one.member.door.gone()
    three.other.holds_the_hub("a life")
    link.close()
    call.result()
    assert (three.heard(0), three.heard(1)) == (["there"], ["here"])


def test_calls_of_two_threads_are_made_in_their_order_when_the_hub_comes_here(three: Three) -> None:
    """The thread of the later one is the first to learn where the hub is. Neither call is refused."""
    link = three.other.link_to(three.one)
    three.one.member.door.freeze()
    calls = []
    for number in (1, 2):
        calls.append(Call(lambda number=number: three.other.hub.send("u1", Message("n", number))))  # type: ignore[misc]
        wait_for(lambda number=number: three.one.server.waits() == number, calls[-1])  # type: ignore[misc]
    member, place = three.other.member, three.other.member.place

    def learn(timeout: float | None = None) -> Any:
        if calls[0].is_this_thread():
            calls[1].result()
        return place(timeout)

    member.place = learn  # type: ignore[method-assign]
    three.other.server.adopt(three.one.server.export())
    three.one.member.door.gone()
    three.other.holds_the_hub("a life")
    link.close()
    for call in calls:
        call.result()
    assert (three.heard(0), three.heard(1)) == ([], [1, 2])


def test_of_a_killed_hub_a_call_is_in_doubt(three: Three) -> None:
    """Another hub may not have done it, so it is not asked; the next call goes there."""
    lost: list[Any] = []
    link = three.worker.link_to(three.one, lose(lost))
    call = send(three, "who knows")
    wait_for(lambda: lost, call)
    three.other.holds_the_hub("another life")
    link.close()
    three.worker.link_to(three.other)
    with pytest.raises(HubUnavailable, match="another hub has taken its place; it may") as caught:
        call.result()
    assert caught.value.sent is None
    three.hub.send("u1", Message("n", "new"))
    assert (three.heard(0), three.heard(1)) == (["who knows"], ["new"])


def test_a_hub_that_does_not_answer_is_not_waited_for_for_ever(three: Three) -> None:
    """A process that was stopped: in doubt after the cluster's timeout; its late answer harms nobody."""
    worker = Process(4, timeout=0.05)
    held: list[Any] = []
    worker.link_to(three.one, lose(held))
    with pytest.raises(HubUnavailable, match=r"no answer within 0\.05 s") as caught:
        worker.hub.send("u1", Message("n", 1))
    assert caught.value.sent is None
    worker.leave()


def test_a_link_that_ends_for_good_leaves_calls_in_doubt(three: Three) -> None:
    worker = Process(4, timeout=0.05)
    lost: list[Any] = []
    link = worker.link_to(three.one, lose(lost))
    call = Call(lambda: worker.hub.send("u1", Message("n", 1)))
    wait_for(lambda: lost, call)
    worker.knows_nothing()
    link.close()
    with pytest.raises(HubUnavailable) as caught:
        call.result()
    assert caught.value.sent is None
    worker.leave()


def test_a_request_goes_on_over_the_next_link(three: Three) -> None:
    """The client is asked once; the worker's thread gets the answer over whichever link there is."""
    link = three.worker.link_to(three.one)
    connection = three.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask"))
    request = asked(three.stages[0].clients[0])
    link.close()
    three.worker.link_to(three.one)
    answer(three.stages[0].clients[0], request, payload=7)
    assert call.result() == 7
    assert three.heard(0) == []


def test_many_threads_and_many_links_lose_and_double_nothing(three: Three) -> None:
    """Eight threads call while the link is cut ten times."""
    link = three.worker.link_to(three.one)

    def talk(thread: int) -> None:
        for number in range(25):
            three.hub.send("u1", Message("n", [thread, number]))

    calls = [Call(lambda thread=thread: talk(thread)) for thread in range(8)]  # type: ignore[misc]
    for _ in range(10):
        calls[0].is_under_way()
        link.close()
        link = three.worker.link_to(three.one)
    for call in calls:
        call.result()
    got = three.heard(0)
    for thread in range(8):
        assert [number for one, number in got if one == thread] == list(range(25))


@pytest.mark.parametrize("where", ["hub", "worker"])
def test_a_forked_child_begins_anew(three: Three, where: str) -> None:
    """It has none of its parent's calls, and no lock that another thread held at the fork."""
    three.worker.link_to(three.one)
    three.hub.send("u1", Message("n", 1))
    client, server = three.worker.calls.client, three.one.server
    with client._lock, server._lock:  # as another thread may hold them
        child = os.fork()
        if child == 0:
            code = 1
            try:
                client._lock.acquire(timeout=1)
                server._lock.acquire(timeout=1)
                code = 0 if not client._open.all() and not server._callers else 2
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    three.hub.send("u1", Message("n", 2))
    assert three.heard(0) == [1, 2]


def test_books_are_forgotten_a_minute_after_the_last_link(three: Three, monkeypatch: Any) -> None:
    """Until then a link that comes back is answered from them."""
    link = three.worker.link_to(three.one)
    three.hub.send("u1", Message("n", 1))
    link.close()
    while not all(caller.link is None for caller in three.one.server._callers.values()):
        three.one.server.tick()
    assert len(three.one.server._callers) == 1
    monkeypatch.setattr("resumehub.cluster.calls.call_server.KEEP", 0.0)
    while three.one.server._callers:
        three.one.server.tick()


def test_a_request_whose_asker_has_given_up_is_dropped(three: Three) -> None:
    """The thread waits no more, since there was no hub for a while; its next call says so."""
    worker = Process(4, timeout=0.05)
    link = worker.link_to(three.one)
    connection = worker.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask", timeout=None))
    asked(three.stages[0].clients[0])
    worker.knows_nothing()
    link.close()
    with pytest.raises(HubUnavailable):
        call.result()
    assert three.one.hub.stats().requests == 1
    worker.link_to(three.one)
    worker.hub.send("u1", Message("n", 1))
    three.one.server.tick()
    assert three.one.hub.stats().requests == 0
    worker.leave()


def test_damaged_books_are_refused(three: Three) -> None:
    with pytest.raises(ValueError, match="the books of calls can't be read"):
        three.other.server.adopt(b"nonsense")


def test_a_request_under_way_at_a_move_gets_its_answer(three: Three) -> None:
    """The client is asked once. Its answer comes to the old process, which passes it on."""
    link = three.worker.link_to(three.one)
    connection = three.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask"))
    request = asked(three.stages[0].clients[0])
    three.move()
    three.one.link_to(three.other)
    link.close()
    three.worker.link_to(three.other)
    answer(three.stages[0].clients[0], request, payload=7)
    assert call.result() == 7


def test_an_answer_that_is_lost_is_logged_with_the_pid_of_its_asker(
    three: Three, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no hub any more to which it could go."""
    one = three.one = Process(1, three.stages[0].hub, timeout=0.05)
    one.holds_the_hub("a life")
    worker = Process(4, timeout=0.05)
    worker.link_to(one)
    connection = worker.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask", timeout=0.1))
    request = asked(three.stages[0].clients[0])
    one.member.door.freeze()
    one.member.door.gone()
    one.knows_nothing()
    answer(three.stages[0].clients[0], request, payload=7)
    with pytest.raises(HubUnavailable):
        call.result()
    until(lambda: "an answer for process" in caplog.text)
    pid = worker.member.greeting.pid
    assert f"an answer for process {pid} is lost: the hub does not answer: the test knows" in caplog.text
    worker.leave()


def test_a_request_gets_its_answer_when_the_hub_has_been_elsewhere_and_is_back(three: Three) -> None:
    """Its book came back, and is another object."""
    link = three.worker.link_to(three.one)
    connection = three.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask"))
    request = asked(three.stages[0].clients[0])
    three.move()
    link.close()
    three.one, three.other = three.other, three.one
    three.move()
    three.one, three.other = three.other, three.one
    three.worker.link_to(three.one)
    answer(three.stages[0].clients[0], request, payload=7)
    assert call.result() == 7


def test_a_request_whose_answer_went_to_a_process_that_ended_is_in_doubt(
    three: Three, monkeypatch: Any
) -> None:
    """The old process was killed behind the move, with the answers that were to come to it."""
    monkeypatch.setattr("resumehub.cluster.calls.call_server.ASKER", 0.0)
    link = three.worker.link_to(three.one)
    connection = three.hub.get("u1")
    assert connection is not None
    call = Call(lambda: connection.request("ask"))
    asked(three.stages[0].clients[0])
    three.move()
    link.close()
    three.worker.link_to(three.other)
    while call.is_under_way():
        three.other.server.tick()
    with pytest.raises(RequestInDoubt, match="'u1' ended before the request 'ask' was answered"):
        call.result()
