"""Who may link to the hub's process, what both ends learn of each other, and what garbage costs: one link."""

from __future__ import annotations

import array
import os
import queue
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from resumehub.cluster import link_listener
from resumehub.cluster.folder import Folder, open_folder
from resumehub.cluster.greetings import Greeting, Refused, Welcome, answer
from resumehub.cluster.link import Link
from resumehub.cluster.link_codec import CARRIERS, HEADER, MOST_DESCRIPTORS, encode
from resumehub.cluster.link_listener import LinkListener, connect
from resumehub.errors import ClusterRefused, NoHub
from resumehub.runtime.base import Thread
from resumehub.runtime.system import SystemRuntime
from tests.cluster.links import Received, a_greeting, serve
from tests.support import PATIENCE

LIFE = "f" * 32


@pytest.fixture(autouse=True)
def any_message_may_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of these tests stands for those that do."""
    monkeypatch.setitem(CARRIERS, Refused, MOST_DESCRIPTORS)


@pytest.fixture
def folder() -> Iterator[Folder]:
    """With a short path: that of a socket has 107 bytes."""
    path = tempfile.mkdtemp(prefix="rh")
    yield open_folder(path)
    shutil.rmtree(path)


class HubProcess:
    """The hub's end: it takes links, and keeps what comes over them."""

    def __init__(
        self, folder: Folder, application: str = "chat", runtime: SystemRuntime | None = None
    ) -> None:
        self.mine = a_greeting(1, "hub", application)
        self.links: queue.Queue[Link] = queue.Queue()
        self.received = Received()
        self.listener = LinkListener(
            folder,
            self.greet,
            {Refused: self.received.handle},
            self.links.put,
            self.received.end,
            runtime or SystemRuntime(),
        )
        self.listener.start()

    def greet(self, theirs: Greeting) -> Welcome | Refused:
        return answer(self.mine, theirs, LIFE)

    def link(self) -> Link:
        """The next link that was taken."""
        return self.links.get(timeout=PATIENCE)


@pytest.fixture
def hub(folder: Folder) -> Iterator[HubProcess]:
    made = HubProcess(folder)
    yield made
    made.listener.close()


def linked(folder: Folder, greeting: Greeting | None = None) -> tuple[Link, Welcome]:
    return connect(folder, greeting or a_greeting(2), SystemRuntime(), PATIENCE)


def test_both_ends_know_who_the_other_one_is(folder: Folder, hub: HubProcess) -> None:
    here, welcome = linked(folder, a_greeting(2, "sync"))
    there = hub.link()

    assert (here.peer.process, here.peer.kind, here.version) == (hub.mine.process, "hub", 1)
    assert welcome.hub_life == LIFE
    assert there.peer == a_greeting(2, "sync")

    here.finish("the test is over")
    assert hub.received.next() is None


def test_messages_and_descriptors_go_both_ways(folder: Folder, hub: HubProcess) -> None:
    here, _ = linked(folder)
    there, answers = hub.link(), Received()
    thread = serve(here, {Refused: answers.handle}, answers.end)
    null = os.open(os.devnull, os.O_RDONLY)
    here.send(Refused("up", ""), [null])
    there.send(Refused("down", ""), [null, null])
    os.close(null)

    for received, count in ((hub.received, 1), (answers, 2)):
        _, descriptors = received.next_with_descriptors()
        assert len(descriptors) == count
        for descriptor in descriptors:
            os.close(descriptor)

    there.close()
    assert answers.next() is None
    assert hub.received.next() is None
    assert thread.join(PATIENCE)


def test_without_a_hub_nobody_answers(folder: Folder) -> None:
    with pytest.raises(NoHub, match=f"no process holds the hub in {folder.path}"):
        linked(folder)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(folder.socket)
    with pytest.raises(NoHub):
        linked(folder)


def test_the_next_hub_takes_the_place_of_the_last_one(folder: Folder, hub: HubProcess) -> None:
    """Its socket is renamed over the old one, so there is no moment without."""
    here, _ = linked(folder)
    second = HubProcess(folder)
    there, _ = linked(folder)

    assert second.link().peer == a_greeting(2)
    assert sorted(os.listdir(folder.path)) == ["hub"]
    for link in (here, there):
        link.finish("the test is over")
    second.listener.close()


def test_another_application_is_refused_by_name(
    folder: Folder, hub: HubProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClusterRefused, match="belongs to the application 'chat'") as caught:
        linked(folder, a_greeting(2, application="shop"))

    assert caught.value.code == "application"
    with pytest.raises(ClusterRefused):
        linked(folder, a_greeting(2, application="shop"))
    (record,) = caplog.records
    refused = f"a link of process 2 is refused in {folder.path}: the folder belongs to the application 'chat'"
    assert record.getMessage().startswith(refused), "one line a minute: it tries again and again"


@pytest.mark.contract("F7")
@pytest.mark.parametrize(
    ("theirs", "spoken"), [((1, 1), 1), ((1, 2), 1), ((2, 3), None), ((0, 1), 1), ((0, 0), None)]
)
def test_the_lower_version_is_spoken(theirs: tuple[int, int], spoken: int | None) -> None:
    lowest, highest = theirs
    said = answer(a_greeting(1), replace(a_greeting(2), lowest_version=lowest, highest_version=highest), LIFE)

    if spoken is None:
        assert isinstance(said, Refused)
        assert said.code == "version"
        assert f"this process {lowest} to {highest}" in said.reason
    else:
        assert isinstance(said, Welcome)
        assert said.version == spoken


@pytest.mark.contract("F7")
def test_a_later_release_links_to_this_one(folder: Folder, hub: HubProcess) -> None:
    """And this one to a later one: it says what both speak, and messages go."""
    later = replace(a_greeting(2), lowest_version=1, highest_version=2)
    for ours, theirs in ((later, hub.mine), (a_greeting(2), replace(hub.mine, highest_version=2))):
        hub.mine = theirs
        here, welcome = linked(folder, ours)
        there = hub.link()
        here.send(Refused("how", "goes it"))
        assert hub.received.next() == Refused("how", "goes it")
        assert (here.version, there.version, welcome.version) == (1, 1, 1)
        here.finish("the test is over")
        assert hub.received.next() is None


@pytest.mark.contract("F7")
def test_a_later_release_may_say_more_in_its_greeting() -> None:
    more = a_greeting(2).to_bytes().replace(b"{", b'{"colour":["blue"],', 1)
    assert Greeting.from_bytes(more) == a_greeting(2)


def test_a_process_of_another_user_is_refused(
    folder: Folder, hub: HubProcess, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At either end. The kernel tells who it is; here this process thinks that it is somebody else."""
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(ClusterRefused, match="it runs as another user"):
        linked(folder)

    with pytest.raises((ConnectionError, EOFError)):
        Raw(folder).read()
    assert {record.getMessage() for record in caplog.records} == {
        f"a link of process {os.getpid()} of user {user} is refused in {folder.path}: "
        f"the cluster is of user {user + 1}"
    }


@pytest.mark.contract("F10")
def test_more_links_than_allowed_are_refused(
    folder: Folder, hub: HubProcess, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_listener, "MOST_LINKS", 1)
    here, _ = linked(folder)
    hub.link()
    with pytest.raises(ClusterRefused, match="the hub's process has 1 links already"):
        linked(folder)
    here.finish("the test is over")
    assert hub.received.next() is None
    assert "a link is refused in" in caplog.text
    assert linked_again(folder, hub)


def linked_again(folder: Folder, hub: HubProcess) -> bool:
    """Whether the hub takes one more link; it is ended again."""
    here, _ = linked(folder)
    hub.link()
    here.finish("the test is over")
    return hub.received.next() is None


class NoMoreThreads(SystemRuntime):
    """At the end of a process some Pythons start no thread."""

    at_the_end = False
    spare_threads = 1  # where it is known of a Python there are more

    def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Thread:
        if self.at_the_end:
            raise RuntimeError("can't create new thread at interpreter shutdown")
        return super().spawn(name, run, daemon=daemon)


def test_a_link_is_taken_where_no_thread_can_be_started(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    """By the spare thread, so that a hub can still move to another process; the next one is refused."""
    runtime = NoMoreThreads()
    hub = HubProcess(folder, runtime=runtime)
    assert linked_again(folder, hub)
    runtime.at_the_end = True
    assert linked_again(folder, hub)
    with pytest.raises(ClusterRefused, match="can start no thread for one more link"):
        linked(folder)
    hub.listener.close()
    (record,) = caplog.records
    assert "can start no thread for one more link" in record.getMessage()


class Raw:
    """A process that speaks as it likes."""

    def __init__(self, folder: Folder) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(folder.socket)

    def send(self, data: bytes, descriptors: int = 0) -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        rights = array.array("i", [null] * descriptors)
        self._socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else [])
        os.close(null)

    def read(self) -> bytes:
        """What comes until the other end closes. Raises: EOFError if nothing does."""
        data = b""
        with self._socket:
            while more := self._socket.recv(65536):
                data += more
        if not data:
            raise EOFError
        return data

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)


def no_greeting(length: int, number: int = 1) -> bytes:
    return HEADER.pack(length, number, 1) + b"{" * min(length, 4000)


@pytest.mark.parametrize(
    ("data", "descriptors", "said"),
    [
        (b"\xff" * 20, 0, "a link is ended in … no message has the number 255"),
        (no_greeting(100), 1, "a link is ended in … a Greeting can't be read: its greeting is not JSON"),
        (no_greeting(5000), 1, "a link is ended in … a Greeting of 5000 bytes is longer than allowed"),
        (no_greeting(100)[:50], 1, "a link is ended in … it ended before its first message was complete"),
        (b"", 0, "a link is ended in … it ended before its first message was complete"),
        (encode(Refused("a", "b")), 1, "it does not begin with a greeting and a socket"),
        (encode(a_greeting(2), 1), 0, "it does not begin with a greeting and a socket"),
        (encode(a_greeting(2), 1), 2, "it does not begin with a greeting and a socket"),
        (encode(a_greeting(2), 1), 100, "it does not begin with a greeting and a socket"),
    ],
)
def test_who_does_not_greet_is_sent_away(
    data: bytes,
    descriptors: int,
    said: str,
    folder: Folder,
    hub: HubProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With one line in the log, and no descriptor left. The next one is served."""
    before = len(os.listdir("/proc/self/fd"))
    raw = Raw(folder)
    if data:
        raw.send(data, descriptors)
    raw.end()
    with pytest.raises((ConnectionError, EOFError)):
        raw.read()

    (record,) = caplog.records
    assert all(part in record.getMessage() for part in said.split(" … "))
    here, _ = linked(folder)
    here.finish("the test is over")
    hub.link()
    assert hub.received.next() is None
    del raw
    assert len(os.listdir("/proc/self/fd")) == before


def test_who_greets_slowly_holds_nobody_up(
    folder: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not byte by byte either: the time counts from the beginning."""
    hub = HubProcess(folder)
    slow = Raw(folder)
    slow.send(encode(a_greeting(3), 1)[:10], 1)
    here, _ = linked(folder)
    here.finish("the test is over")
    hub.link()
    assert hub.received.next() is None

    monkeypatch.setattr(link_listener, "GREETING_TIMEOUT", 0.05)
    slower = Raw(folder)
    with pytest.raises((ConnectionError, EOFError)):
        slower.read()
    assert "it did not greet within 0.05 s" in caplog.text

    slow.end()
    with pytest.raises((ConnectionError, EOFError)):
        slow.read()
    hub.listener.close()


def test_a_hub_that_does_not_answer_is_given_up(folder: Folder) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(folder.socket)
        silent.listen()
        with pytest.raises(TimeoutError, match="did not answer within"):
            connect(folder, a_greeting(2), SystemRuntime(), 0.05)


def test_an_answer_that_fails_costs_its_link(
    folder: Folder, hub: HubProcess, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise LookupError

    monkeypatch.setattr("tests.cluster.test_link_listener.answer", fail)
    with pytest.raises(NoHub):
        linked(folder)
    monkeypatch.undo()
    here, _ = linked(folder)
    here.finish("the test is over")
    hub.link()
    assert hub.received.next() is None
    assert "its greeting could not be answered" in caplog.text


def test_a_forked_child_has_no_link_and_no_listener(folder: Folder, hub: HubProcess) -> None:
    """And shuts nothing down: the parent's go on."""
    here, _ = linked(folder)
    there = hub.link()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            left = [link for link in descriptors_of_this_process() if link.startswith("socket:")]
            os.write(writing, f"{len(left)} {here.ended} {there.ended}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    said = os.read(reading, 100)
    os.close(reading)

    assert said == b"0 True True"
    here.send(Refused("still", "there"))
    assert hub.received.next() == Refused("still", "there")
    here.finish("the test is over")
    assert hub.received.next() is None


def descriptors_of_this_process() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            pass  # the listing's own
    return found
