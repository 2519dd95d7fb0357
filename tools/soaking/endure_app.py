"""The server of an endurance run: a hub for each kind of options, all in one process, and their books.

gunicorn or Werkzeug imports it as ``tools.soaking.endure_app:app``. ``/HUB/ws`` is the WebSocket of a hub,
``/HUB/metrics`` and ``/HUB/inspector/`` are its observers, ``/HUB/do/WHAT`` does something to it,
``/HUB/account`` has what became of one name. ``/books`` has the books of all. What clients ask by message is
in ``Desk``. Read next: ``endure_books.py``; ``endure_scenes.py`` for the other side.
"""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Request, Response

from resumehub import (
    Admission,
    ConnectionClosed,
    ConnectRate,
    ConnectRejected,
    Counters,
    Hub,
    Message,
    RateLimit,
    RequestError,
    RequestFailed,
    RequestInDoubt,
    RequestTimeout,
    ResumeHubError,
    SendBufferFull,
)
from resumehub.contrib.prometheus import PrometheusMetrics
from resumehub.inspector import Inspector
from resumehub.router import Router
from resumehub.spans import SpanStart
from resumehub.trace import Trace
from tools.soaking.endure_books import Books
from tools.soaking.rows import EVENT, write
from tools.soaking.sampling import in_use

THREADS = "RESUMEHUB_SOAK_THREADS"
"""The environment variable with the number of gunicorn's request threads. ``/all`` is answered when so many
requests have come at once: behind it they all exist."""

PLANT = "RESUMEHUB_SOAK_PLANT"
"""The environment variable with faults to make, so that the oracles can be tested: lost, doubled, leaked."""

HUBS: dict[str, dict[str, Any]] = {
    "main": {"resume_window": 20.0, "max_requests": 8, "history": lambda room: 5 * room.startswith("news")},
    "brief": {"resume_window": 0.3, "ping_interval": 0.5, "write_timeout": 0.3, "refusal_delay": 0.05},
    "full": {"max_sessions": 2},
    "strict": {"max_sessions": 2, "on_full": "refuse", "on_duplicate": "reject", "refusal_delay": 0.05},
    "slow": {"rate": RateLimit(messages_per_second=100, bytes_per_second=None, burst=0.2)},
    "gate": {"connect_rate": ConnectRate(connects_per_second=4.0, burst=3), "refusal_delay": 0.05},
    "budget": {"buffer_budget": 64 * 1024},
    "packed": {"compression": True},
    "narrow": {"send_buffer": 8, "ping_interval": 2.0, "write_timeout": 1.0},
}
"""The options of each hub. All have a heartbeat, so that whatever is left half-open is found."""

_ALL = {"ping_interval": 6.0, "write_timeout": 3.0, "callback_threads": 2}
# Threads for callbacks are started as they are needed, and stay. So few are soon all there.


class Span:
    """Counts what ``Hub(spans=…)`` tells."""

    def __init__(self, counts: Counter[str], lock: threading.Lock) -> None:
        self._counts, self._lock = counts, lock

    def begin(self, start: SpanStart) -> Span:
        return self._count("begun")

    def dropped(self, error: ResumeHubError | None) -> None:
        self._count("dropped")

    def restored(self, suspended: float | None, replayed: int) -> None:
        self._count("restored")

    def ended(self, reason: str) -> None:
        self._count("ended")

    def moved_out(self) -> None:
        self._count("moved out")

    def callback_began(self, hook: str) -> None:
        self._count("callbacks begun")

    def callback_raised(self, hook: str, error: BaseException) -> None:
        self._count("callbacks that raised")

    def callback_ended(self, hook: str, began: Any) -> None:
        self._count("callbacks ended")

    def _count(self, what: str) -> Span:
        with self._lock:
            self._counts[what] += 1
        return self


class Both(Counters):
    """Counts, and tells Prometheus's collector the same."""

    def __init__(self, other: PrometheusMetrics) -> None:
        super().__init__()
        for name in (name for name in dir(Counters) if not name.startswith("_") and name != "snapshot"):
            setattr(self, name, partial(_both, getattr(self, name), getattr(other, name)))


def _both(first: Callable[..., None], second: Callable[..., None], *args: Any) -> None:
    first(*args)
    second(*args)


class Desk:
    """One hub, and its application. Any thread."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.books = Books()
        self.prometheus = PrometheusMetrics(registry=CollectorRegistry())
        self.counters = Both(self.prometheus)
        self.spans: Counter[str] = Counter()
        # These keep what happened last: of a hub that has much to do they are soon as large as they become.
        looked_at = name == "main"
        self.trace = Trace(limit=500) if looked_at else None
        self.hub = Hub(
            self._admit,
            metrics=self.counters,
            spans=Span(self.spans, threading.Lock()),
            trace=self.trace,
            **{**_ALL, **options},
        )
        self.inspector = (
            Inspector(self.hub, authorize=lambda request: True, secret="endure") if looked_at else None
        )
        self._listen()

    def _admit(self, request: Request) -> Admission:
        match request.args.get("refuse"):
            case "401":
                raise ConnectRejected
            case "403":
                raise Forbidden
            case "500":
                raise ArithmeticError("a connect that fails")
        args = request.args
        data = {"raises": args.get("raises", ""), "naps": "naps" in args}
        return Admission(args.get("room", "home"), args.get("name"), data=data, user=args.get("user"))

    def _listen(self) -> None:
        hub, books, router = self.hub, self.books, Router()

        @hub.on_connect
        def connect(connection: Any) -> None:
            books.begin(connection.life, connection.id)
            if connection.data["raises"] == "connect":
                raise ArithmeticError("an on_connect that fails")

        @hub.on_transport_drop
        def drop(connection: Any, error: ResumeHubError | None) -> None:
            for _ in range(1 + ("doubled" in _planted)):
                books.suspend(connection.life)

        hub.on_transport_restore(lambda connection: books.resume(connection.life))
        hub.on_join(lambda connection, room, reason: books.join(connection.life, room))
        hub.on_leave(lambda connection, room, reason: books.leave(connection.life, room))

        @hub.on_disconnect
        def disconnect(connection: Any, error: ResumeHubError | None) -> None:
            if connection.data["naps"]:
                threading.Event().wait(0.2)
            books.end(connection.life, type(error).__name__ if error is not None else "")
            if "leaked" in _planted:
                _leaked.append(os.open(os.devnull, os.O_RDONLY))

        @router.use
        def enter(connection: Any, message: Message, go_on: Callable[..., Any]) -> Any:
            lost = "lost" in _planted and message.event == EVENT and message.payload[1] == 2
            books.hear(
                connection.life, message, time.monotonic(), is_number=message.event == EVENT and not lost
            )
            return go_on(connection, message)

        router.on(EVENT)(lambda connection, message: None)
        router.on("say")(lambda connection, message: self.say(connection, message.payload) and None)
        router.on("join")(lambda connection, message: connection.join(message.payload))
        router.on("leave")(lambda connection, message: connection.leave(message.payload))
        router.on("close")(lambda connection, message: connection.close())
        router.on("echo")(lambda connection, message: {"of": message.payload})
        router.on("add", payload=int)(lambda connection, message: message.payload + 1)
        router.on("id")(lambda connection, message: connection.id)
        router.on("ask")(lambda connection, message: self.ask(connection, *message.payload))

        @router.on("nap")
        def nap(connection: Any, message: Message) -> bool:
            return threading.Event().wait(0.1)

        @router.on("boom")
        def boom(connection: Any, message: Message) -> None:
            raise ArithmeticError("a handler that fails")

        @router.on("refuse")
        def refuse(connection: Any, message: Message) -> None:
            raise RequestError("no", "not today")

        @router.on("later")
        def later(connection: Any, message: Message) -> None:
            message.defer()
            message.reply({"of": message.payload})

        @router.on("never")
        def never(connection: Any, message: Message) -> None:
            message.defer()

        hub.on_message(router)

    def say(self, connection: Any, number: int) -> int:
        """Send the next numbers to a session, as many as there is room for; how many it got in all."""
        for _ in range(number):
            try:
                connection.send(write(connection.id, self.books.number(connection.life), time.monotonic()))
            except (SendBufferFull, ConnectionClosed):
                break
            self.books.sent(connection.life)
        return self.books.number(connection.life) - 1

    def ask(self, connection: Any, event: str, number: int, timeout: float) -> Counter[str]:
        """Ask the client, and say what came of each request."""
        ends: Counter[str] = Counter()
        for one in range(number):
            try:
                answer = connection.request(event, [connection.id, one], timeout=timeout)
            except RequestTimeout:
                ends["timeout"] += 1
            except RequestFailed as failed:
                ends[failed.code] += 1
            except RequestInDoubt:
                ends["in doubt"] += 1
            except (ConnectionClosed, SendBufferFull) as error:
                ends[type(error).__name__] += 1
            else:
                ends["answered" if answer == {"of": [connection.id, one]} else "wrong"] += 1
        return ends

    def do(self, what: str, args: dict[str, str]) -> Any:
        """What the other side orders by HTTP."""
        hub, name = self.hub, args.get("name", "")
        count = int(args.get("count", "1"))
        match what:
            case "cut":
                return hub.cut(name)
            case "kick":
                return hub.kick(name)
            case "kick_user":
                return hub.kick_user(args["user"])
            case "say":
                connection = hub.get(name)
                return self.say(connection, count) if connection is not None else None
            case "ask":
                connection = hub.get(name)
                timeout = float(args["timeout"])
                return self.ask(connection, args["event"], count, timeout) if connection is not None else None
            case "broadcast" | "send_to_user":
                return [self._tell(what, args, number) for number in range(1, count + 1)][-1]
            case "drain":
                return asdict(hub.drain(accept_resumes="strictly" not in args))
            case "end_all":
                return hub.end_all("a scene has failed")
            case "undrain":
                return hub.undrain()
            case "look":
                return {"count": hub.count(args["room"]), "ids": hub.ids(args["room"]), "rooms": hub.rooms()}
            case "ready":
                return bool(hub.ready())
            case "stats":
                return {**asdict(hub.stats()), "sums": self.counters.snapshot()}
        raise AssertionError(f"nobody knows how to {what}")

    def _tell(self, what: str, args: dict[str, str], number: int) -> int | None:
        to, size = args["to"], int(args.get("size", "0"))
        first, of = int(args.get("first", "1")), args.get("of", to)
        message = Message("big", "x" * size) if size else write(of, first + number - 1, time.monotonic())
        if what == "send_to_user":
            return self.hub.send_to_user(to, message)
        self.hub.broadcast(to, message, exclude=args["but"].split() if "but" in args else ())
        return None

    def told(self) -> dict[str, Any]:
        """All that is known, as JSON."""
        exposition = self.prometheus.exposition(self.hub).get_data(as_text=True).splitlines()
        return {
            "stats": asdict(self.hub.stats()),
            "sums": self.counters.snapshot(),
            "books": self.books.told(),
            "spans": dict(self.spans),
            "prometheus": {
                name: float(line.split()[1])
                for name in ("sessions_opened", "callback_duration_seconds_count")
                for line in exposition
                if line.startswith(f"resumehub_{name}_total ")
            },
            "trace": len(self.trace.records()) if self.trace is not None else 0,
        }


desks = {name: Desk(name, options) for name, options in HUBS.items()}
_all_threads = threading.Barrier(int(os.environ.get(THREADS, "1")))
_planted = os.environ.get(PLANT, "").split()
_leaked: list[int] = []


def look() -> dict[str, Any]:
    """The books of all hubs, behind a search for cycles: what is left then is held by something."""
    gc.collect()
    objects = len(gc.get_objects())
    blocks, malloc = in_use()
    return {
        "pid": os.getpid(),
        "objects": objects,
        "blocks": blocks,
        "malloc": malloc,
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "hubs": {name: desk.told() for name, desk in desks.items()},
    }


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    request = Request(environ)
    match request.path.strip("/").split("/"):
        case ["books"]:
            answer: Any = look()
        case ["all"]:
            _all_threads.wait(20)
            answer = None
        case [name, "ws"]:
            return desks[name].hub.wsgi_app(environ, start_response)
        case [name, "metrics"]:
            return desks[name].prometheus.exposition(desks[name].hub)(environ, start_response)
        case [name, "inspector", *rest] if (pages := desks[name].inspector) is not None:
            base = f"/{name}/inspector"
            return pages.answer(request, "/" + "/".join(rest), base)(environ, start_response)
        case [name, "account"]:
            answer = desks[name].books.account(request.args["name"])
        case [name, "do", what]:
            try:
                answer = {"did": desks[name].do(what, request.args.to_dict())}
            except ResumeHubError as error:
                answer = {"raised": type(error).__name__}
        case _:
            return Response("resumehub", 200 if request.path == "/" else 404)(environ, start_response)
    return Response(json.dumps(answer), content_type="application/json")(environ, start_response)
