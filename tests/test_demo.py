"""The demo's WSGI application: its pages, its checks, its timeline, and the chat behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from resumehub import Connection, Message, TransportLost
from resumehub.demo import DemoApp, create_app
from resumehub.demo.bursts import MAX_BURSTS, BurstPlan, Bursts
from resumehub.demo.chat import Chat
from resumehub.demo.timeline import MAX_SESSIONS, MAX_TRAFFIC, EventLog, TimelineMetrics, handle_of
from resumehub.runtime.system import SystemRuntime

ID = "0123456789abcdef0123456789abcdef"
HERE = {"Origin": "http://localhost"}


@pytest.fixture
def app() -> Iterator[DemoApp]:
    app = create_app()
    yield app
    assert app.close().complete


@pytest.fixture
def client(app: DemoApp) -> Client:
    return Client(app)


# -- pages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "mimetype"),
    [
        ("/", "text/html"),
        ("/static/demo.css", "text/css"),
        ("/static/demo.js", "text/javascript"),
        ("/static/resumehub.js", "text/javascript"),
        ("/static/demo_icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_and_its_files_are_served(client: Client, path: str, mimetype: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert client.get(path, headers={"If-None-Match": response.headers["ETag"]}).status_code == 304
    assert client.head(path).status_code == 200


def test_the_page_asks_nobody_else_for_anything(client: Client) -> None:
    """The demo works offline: every address in the page and its files is its own."""
    for path in ("/", "/static/demo.css", "/static/demo.js", "/static/demo_page.js", "/static/demo_chart.js"):
        text = client.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text


@pytest.mark.parametrize("path", ["/", "/static/demo.js", "/static/no-such-file", "/timeline", "/nowhere"])
def test_every_answer_is_locked_down(client: Client, path: str) -> None:
    """Scripts, styles and connections from this origin only, nothing inline, no framing."""
    headers = client.get(path).headers

    policy = dict(part.split(None, 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/static/../demo.py", "/static/%2e%2e/demo.py", "/static/", "/demo.py", "/static"]
)
def test_nothing_but_the_page_s_files_can_be_fetched(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(("method", "path", "allow"), [("POST", "/", "GET, HEAD"), ("GET", "/cut", "POST")])
def test_a_wrong_method_is_told_which_one_is_right(
    client: Client, method: str, path: str, allow: str
) -> None:
    response = client.open(path, method=method)

    assert (response.status_code, response.headers["Allow"]) == (405, allow)


# -- the timeline ---------------------------------------------------------------------


def test_the_timeline_is_json_that_nobody_keeps(client: Client) -> None:
    response = client.get("/timeline?room=lobby&after=0")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    page = response.get_json()
    assert page["events"] == []
    assert (page["next"], page["more"], page["lost"]) == (0, False, False)
    assert page["settings"]["resume_window"] == 30.0
    assert page["now"] >= 0


@pytest.mark.parametrize(
    "query",
    [
        "",
        "room=",
        "room=%20",
        "room=" + "x" * 41,
        "room=a%00b",
        "room=r&after=-1",
        "room=r&after=x",
        "room=r&after=²",
    ],
)
def test_a_bad_timeline_request_is_400(client: Client, query: str) -> None:
    assert client.get(f"/timeline?{query}").status_code == 400


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time

    def real_wait(self, deadline: float | None) -> float | None:
        return None

    def follow(self, timeline: object) -> None: ...

    def unfollow(self, timeline: object) -> None: ...


def kinds(timeline: EventLog, room: str = "r", **query: Any) -> list[str]:
    return [event.kind for event in timeline.after(room, 0, **query).events]


def test_events_carry_number_time_and_a_handle_but_never_the_id() -> None:
    """An id is the key to a session, so nobody may read somebody else's off the timeline."""
    clock = HandClock()
    timeline = EventLog(clock)
    clock.time += 2.5

    timeline.record("opened", "r", ID, size=3)

    (event,) = timeline.after("r", 0).events
    assert event.as_json() == {
        "seq": 1,
        "at": 2.5,
        "kind": "opened",
        "room": "r",
        "who": handle_of(ID),
        "size": 3,
    }
    assert ID[:6] not in json.dumps(event.as_json())


def test_a_reader_goes_on_where_it_stopped() -> None:
    timeline = EventLog()
    for number in range(5):
        timeline.record(str(number), "r", ID)

    first = timeline.after("r", 0, limit=2)
    second = timeline.after("r", first.next, limit=2)
    last = timeline.after("r", second.next, limit=2)

    assert [[event.kind for event in page.events] for page in (first, second, last)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert [page.more for page in (first, second, last)] == [True, True, False]
    assert timeline.after("r", last.next).events == []


def test_each_story_is_bounded_and_says_what_it_lost() -> None:
    """However much is sent, memory is bounded, and what happened once is not washed away."""
    timeline = EventLog()
    timeline.record("opened", "r", ID)
    for _ in range(MAX_TRAFFIC + 5):
        timeline.record("sent", "r", ID)

    assert kinds(timeline, limit=2 * MAX_TRAFFIC) == ["opened"] + ["sent"] * MAX_TRAFFIC
    assert timeline.after("r", 5).lost
    assert not timeline.after("r", 6).lost


def test_a_busy_neighbour_does_not_wash_away_a_quiet_visitor() -> None:
    timeline = EventLog()
    timeline.record("opened", "r", ID)
    for _ in range(5_000):
        timeline.record("sent", "r", "a busy neighbour")

    assert kinds(timeline, who=handle_of(ID)) == ["opened"]


def test_the_story_of_who_was_silent_for_longest_is_forgotten_first() -> None:
    timeline = EventLog()
    for number in range(MAX_SESSIONS):
        timeline.record("opened", "r", f"visitor {number}")
    timeline.record("received", "r", "visitor 0")
    timeline.record("opened", "r", "one too many")

    assert kinds(timeline, who=handle_of("visitor 0")) == ["opened", "received"]
    assert kinds(timeline, who=handle_of("visitor 1")) == []


def test_rooms_see_only_their_own_and_events_without_a_room_only_their_person() -> None:
    """A resume that got 410 belongs to no room: only who made it may see it."""
    timeline = EventLog()
    timeline.record("mine", "r", ID)
    timeline.record("theirs", "r", "somebody else")
    timeline.record("elsewhere", "another room", ID)
    timeline.record("refused", "", ID)

    assert kinds(timeline) == ["mine", "theirs"]
    assert kinds(timeline, who=handle_of(ID)) == ["mine", "refused"]


# -- the collector --------------------------------------------------------------------


def test_what_waited_is_replayed_and_the_rest_is_sent() -> None:
    """The hub only says "written"; which of it was a replay follows from what waited."""
    timeline = EventLog()
    metrics = TimelineMetrics(timeline)
    metrics.connection_opened("r", ID)
    metrics.message_sent("r", ID, 10)
    metrics.send_buffer("r", ID, 1, 256)
    metrics.send_buffer("r", ID, 2, 256)
    metrics.resume_attempt("r", ID, True)
    metrics.message_sent("r", ID, 10)
    metrics.message_sent("r", ID, 10)
    metrics.send_buffer("r", ID, 0, 256)
    metrics.message_sent("r", ID, 10)

    assert kinds(timeline) == [
        "opened",
        "sent",
        "buffered",
        "buffered",
        "resumed",
        "replayed",
        "replayed",
        "released",
        "sent",
    ]


def test_what_is_lost_with_a_session_is_told_message_by_message() -> None:
    timeline = EventLog()
    metrics = TimelineMetrics(timeline)
    metrics.connection_opened("r", ID)
    metrics.message_dropped("r", ID, "overflow")
    metrics.message_dropped("r", ID, "expired")
    metrics.connection_closed("r", ID, 12.0, "grace_expired")

    _, overflow, expired, closed = timeline.after("r", 0).events
    assert (overflow.detail, expired.detail) == ({"reason": "overflow"}, {"reason": "expired"})
    assert closed.detail == {"reason": "grace_expired", "lived": 12.0}


@pytest.mark.parametrize(
    ("room", "status"), [("", 410), ("r", 4100)], ids=["before the upgrade", "in the race"]
)
def test_a_refused_resume_says_where_it_was_refused(room: str, status: int) -> None:
    timeline = EventLog()

    TimelineMetrics(timeline).resume_attempt(room, ID, False)

    (event,) = timeline.after("r", 0, handle_of(ID)).events
    assert (event.kind, event.detail["status"]) == ("resume_refused", status)


# -- cutting --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", **HERE}, 403),
        (HERE, 404),
        ({"Sec-Fetch-Site": "same-origin", **HERE}, 404),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost"}, 404),
    ],
)
def test_only_the_page_itself_may_cut(client: Client, headers: dict[str, str], status: int) -> None:
    """Another site's page must not cut a visitor off. 404: allowed, but there is no such session."""
    assert client.post(f"/cut?id={ID}", headers=headers).status_code == status


@pytest.mark.parametrize(
    "path", ["/", "/static/resumehub.js", "/timeline?room=lobby", "/ws?room=r&name=Ada&id=" + ID]
)
@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("localhost:8000", False),
        ("LOCALHOST.", False),
        ("demo.localhost", False),
        ("127.0.0.1:8000", False),
        ("192.168.1.20", False),
        ("[::1]:8000", False),
        ("box.lan:8000", False),
        ("evil.example", True),
        ("evil.example:8000", True),
        ("localhost.evil.example", True),
        ("127.0.0.1.evil.example", True),
        ("[::1].evil.example", True),
        ("[evil.example]", True),
        ("box.lan.evil.example", True),
        ("", True),
    ],
)
def test_a_name_that_only_points_here_is_refused(path: str, host: str, refused: bool) -> None:
    """DNS rebinding: to the browser it is a part of the other site, but it says which name it asked for."""
    app = create_app(allowed_hosts=["Box.Lan"])
    response = Client(app).get(path, headers={"Host": host})
    assert app.close().complete

    assert (response.status_code == 403 and "answers to localhost" in response.text) is refused


# -- the way in -----------------------------------------------------------------------


def knock(client: Client, query: str) -> TestResponse:
    return client.get(
        f"/ws?{query}",
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        },
        environ_overrides={"SERVER_PROTOCOL": "HTTP/1.1"},
    )


def test_a_server_without_sockets_is_told_so(client: Client) -> None:
    """The test client has no socket to hand out: the answer is the hub's own 501."""
    assert knock(client, f"room=r&name=Ada&id={ID}").status_code == 501


@pytest.mark.parametrize(
    "query",
    [
        f"room=&name=Ada&id={ID}",
        f"room=r&name=&id={ID}",
        f"room=r&name=%20%20&id={ID}",
        f"room=r&name={'x' * 41}&id={ID}",
        f"room=r&name=a%E2%80%AEb&id={ID}",
        "room=r&name=Ada&id=short",
        "room=r&name=Ada&id=" + "x" * 65,
        "room=r&name=Ada&id=" + "%2F" * 20,
        "room=r&name=Ada",
    ],
)
def test_visitors_must_say_who_they_are(query: str) -> None:
    """Names and rooms are short and printable; an id is long enough not to be guessed."""
    from werkzeug.exceptions import BadRequest
    from werkzeug.test import EnvironBuilder
    from werkzeug.wrappers import Request

    from resumehub.demo.app import read_visitor

    with pytest.raises(BadRequest):
        read_visitor(Request(EnvironBuilder(path="/ws", query_string=query).get_environ()))


# -- bursts ---------------------------------------------------------------------------


class Receiver:
    """Stands in for a connection: keeps what it is sent."""

    id = ID
    room_id = "r"

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.on_send: Callable[[], None] = lambda: None

    def send(self, message: Message) -> None:
        self.got.append(message)
        self.on_send()


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


def as_connection(receiver: Receiver) -> Connection:
    connection: Any = receiver
    assert isinstance(connection, Receiver)
    return connection  # type: ignore[return-value]


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
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def room(hub: StandInHub, clock: HandClock) -> Iterator[Callable[..., None]]:
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
    hub: StandInHub, room: Callable[..., None], clock: HandClock
) -> None:
    """A point in time, not the seconds left: who is away too reads it only later."""
    ada = Visitor("Ada")
    room("on_connect", ada)

    clock.time += 5
    room("on_transport_drop", ada, TransportLost(1006))
    suspended = hub.said[-1][1]
    clock.time += 4
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
