"""The demo's chat: who is told what, what nonsense does, and the bursts of messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resumehub import Message, TransportLost
from resumehub.demo.bursts import MAX_BURSTS, BurstPlan, Bursts
from resumehub.demo.chat import Chat
from resumehub.demo.timeline import EventLog, handle_of
from resumehub.runtime.system import SystemRuntime
from resumehub.testing import FakeClock
from tests.demo_parts import Receiver, as_connection

# -- bursts ---------------------------------------------------------------------------


@pytest.fixture
def bursts() -> Iterator[Bursts]:
    bursts = Bursts(EventLog(), SystemRuntime())
    yield bursts
    bursts.close(timeout=5.0)


def test_a_burst_without_a_thread_is_not_started_and_not_an_error() -> None:
    """The visitor may try again; the session does not end for it."""

    class NoThread(SystemRuntime):
        def spawn(self, name: str, run: Callable[[], None], *, daemon: bool = True) -> Any:
            raise RuntimeError("can't start new thread")

    bursts = Bursts(EventLog(), NoThread())
    assert not bursts.start(as_connection(Receiver()), BurstPlan(3, 0.0, "t"))
    bursts.close(timeout=5.0)


def test_an_armed_burst_waits_for_the_drop(bursts: Bursts) -> None:
    """Its messages fall into the time away, and into no other."""
    receiver = Receiver()
    done = SystemRuntime().event()
    receiver.on_send = lambda: done.set() if len(receiver.got) == 3 else None

    bursts.arm(as_connection(receiver), BurstPlan(3, 0.0, "t"))
    assert receiver.got == []
    bursts.fire(as_connection(receiver))

    assert done.wait(5.0)
    assert [message.payload["i"] for message in receiver.got] == [1, 2, 3]
    bursts.fire(as_connection(receiver))  # armed once, fired once
    assert len(receiver.got) == 3


def test_a_burst_is_stopped_between_two_messages() -> None:
    """Closing the server does not wait for a minute's worth of messages."""
    bursts = Bursts(EventLog(), SystemRuntime())
    receiver = Receiver()
    began = SystemRuntime().event()
    receiver.on_send = began.set

    assert bursts.start(as_connection(receiver), BurstPlan(10, 60.0, "t"))
    assert began.wait(5.0)
    bursts.close(timeout=5.0)

    assert len(receiver.got) == 1
    assert not bursts.start(as_connection(receiver), BurstPlan(1, 0.0, "t"))


def test_bursts_are_bounded() -> None:
    bursts = Bursts(EventLog(), SystemRuntime())
    plan = BurstPlan(2, 60.0, "t")

    started = [bursts.start(as_connection(Receiver()), plan) for _ in range(MAX_BURSTS + 1)]
    bursts.close(timeout=5.0)

    assert started == [True] * MAX_BURSTS + [False]


# -- the chat -------------------------------------------------------------------------


class StandInHub:
    """Keeps the handlers, what was broadcast, and who was kicked."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., None]] = {}
        self.said: list[tuple[str, dict[str, Any], list[str]]] = []
        self.kicked: list[str] = []

    def __getattr__(self, hook: str) -> Callable[[Callable[..., None]], None]:
        if not hook.startswith("on_"):
            raise AttributeError(hook)
        return lambda handler: self.handlers.__setitem__(hook, handler)

    def broadcast(self, room_id: str, message: Message, exclude: Any = ()) -> None:
        self.said.append((message.event, message.payload, list(exclude)))

    def kick(self, connection_id: str) -> None:
        self.kicked.append(connection_id)


class Visitor(Receiver):
    """A connection with an id and a name of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.id = f"id of {name}"
        self.data = {"name": name}


@pytest.fixture
def hub() -> StandInHub:
    return StandInHub()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def room(hub: StandInHub, clock: FakeClock) -> Iterator[Callable[..., None]]:
    """Call a handler: ``room("on_connect", ada)``."""
    stand_in: Any = hub
    chat = Chat(stand_in, EventLog(clock), resume_window=30.0)
    yield lambda hook, *arguments: hub.handlers[hook](*arguments)
    chat.close()


def test_a_newcomer_is_told_who_is_here_and_the_others_are_told_of_it(
    hub: StandInHub, room: Callable[..., None]
) -> None:
    ada, ben = Visitor("Ada"), Visitor("Ben")

    room("on_connect", ada)
    room("on_connect", ben)

    (welcome,) = ben.got
    assert welcome.event == "demo.welcome"
    assert welcome.payload["you"] == handle_of(ben.id)
    assert [(one["name"], one["state"]) for one in welcome.payload["people"]] == [
        ("Ada", "connected"),
        ("Ben", "connected"),
    ]
    event, news, exclude = hub.said[-1]
    assert (event, news["name"], news["state"], exclude) == ("presence", "Ben", "connected", [ben.id])


def test_a_drop_and_a_restore_are_told_with_the_end_of_the_window(
    hub: StandInHub, room: Callable[..., None], clock: FakeClock
) -> None:
    """A point in time, not the seconds left: who is away too reads it only later."""
    ada = Visitor("Ada")
    room("on_connect", ada)

    clock.advance(5)
    room("on_transport_drop", ada, TransportLost(1006))
    suspended = hub.said[-1][1]
    clock.advance(4)
    room("on_transport_restore", ada)
    back = hub.said[-1][1]

    assert (suspended["state"], suspended["until"]) == ("suspended", 35.0)
    assert (back["state"], back["until"]) == ("connected", None)
    assert (ada.got[-1].event, ada.got[-1].payload["away"]) == ("demo.restored", 4.0)


def test_a_takeover_is_nobody_s_news_but_its_own(hub: StandInHub, room: Callable[..., None]) -> None:
    ada = Visitor("Ada")
    room("on_connect", ada)
    told = len(hub.said)

    room("on_transport_drop", ada, None)

    assert len(hub.said) == told


@pytest.mark.parametrize(("error", "state"), [(None, "gone"), (TransportLost(1006), "expired")])
def test_the_others_learn_how_somebody_went(
    hub: StandInHub, room: Callable[..., None], error: Exception | None, state: str
) -> None:
    ada, ben = Visitor("Ada"), Visitor("Ben")
    room("on_connect", ada)
    room("on_connect", ben)

    room("on_disconnect", ada, error)

    assert (hub.said[-1][1]["name"], hub.said[-1][1]["state"]) == ("Ada", state)
    assert hub.said[-1][1]["total"] == 1


def test_what_is_said_is_numbered_and_reaches_everybody(hub: StandInHub, room: Callable[..., None]) -> None:
    ada = Visitor("Ada")
    room("on_connect", ada)

    for text in ("one", " two "):
        room("on_message", ada, Message("chat.say", {"text": text, "tag": "t"}))

    said = [
        (payload["from"], payload["text"], payload["n"], exclude) for _, payload, exclude in hub.said[-2:]
    ]
    assert said == [("Ada", "one", 1, []), ("Ada", "two", 2, [])]


@pytest.mark.parametrize(
    "message",
    [
        Message("chat.say", {"text": ""}),
        Message("chat.say", {"text": "x" * 2001}),
        Message("chat.say", {"text": 5}),
        Message("chat.say", None),
        Message("chat.say", ["a list"]),
        Message("demo.burst", {"count": "many"}),
        Message("demo.burst", {"seconds": None}),
        Message("demo.storm", {"i": "one"}),
        Message("demo.storm", {"i": True}),
        Message("demo.storm", {"i": 10**9}),
        Message("no.such.event"),
    ],
    ids=repr,
)
def test_nonsense_is_answered_and_ends_nothing(
    hub: StandInHub, room: Callable[..., None], message: Message
) -> None:
    """A handler that raises would end the transport: the page is told instead."""
    ada = Visitor("Ada")
    room("on_connect", ada)
    told = len(hub.said)

    room("on_message", ada, message)

    assert ada.got[-1].event == "demo.problem"
    assert len(hub.said) == told


def test_a_storm_is_counted_and_each_message_of_it_answered(
    hub: StandInHub, room: Callable[..., None]
) -> None:
    """What came twice is told apart from what came, and a new storm begins at nothing."""
    ada = Visitor("Ada")
    room("on_connect", ada)

    for number in (1, 2, 2):
        room("on_message", ada, Message("demo.storm", {"tag": "first", "i": number}))
    room("on_message", ada, Message("demo.storm", {"tag": "first", "last": True}))
    room("on_message", ada, Message("demo.storm", {"tag": "second", "i": 1}))

    answers = [message.payload for message in ada.got if message.event == "demo.storm"]
    assert [(one["i"], one["handled"], one["repeated"], one["last"]) for one in answers] == [
        (1, 1, 0, False),
        (2, 2, 0, False),
        (2, 2, 1, False),
        (None, 2, 1, True),
        (1, 1, 0, False),
    ]


def test_whoever_asks_for_it_is_kicked(hub: StandInHub, room: Callable[..., None]) -> None:
    ada = Visitor("Ada")
    room("on_connect", ada)

    room("on_message", ada, Message("demo.kick", {}))

    assert hub.kicked == [ada.id]


def test_causes_are_told_without_the_peers_words() -> None:
    """A close reason is text from the peer: the timeline shows its code only."""
    from resumehub.demo.chat import _cause

    assert _cause(TransportLost(1001, "<script>")) == {"cause": "TransportLost", "code": 1001}
    assert _cause(None) == {"cause": "takeover"}
