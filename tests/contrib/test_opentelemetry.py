"""OpenTelemetry: a session is a span, whatever becomes of its transports, and what it does belongs to it.

The spans are those of the real SDK, in memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from resumehub import Counters, Hub, RequestError
from resumehub.cluster.folder import Folder
from resumehub.contrib.opentelemetry import OpenTelemetrySpans, SessionIds
from resumehub.errors import TransportLost
from resumehub.runtime.system import SystemRuntime
from resumehub.spans import SpanStart
from tests.cluster.restarts import Listening, Restarts
from tests.cluster.two_hubs import TwoHubs, clients, echo, payload
from tests.contract.peers import until
from tests.support import PATIENCE, Stage, text, with_users


class Collected:
    """A TracerProvider, and all spans that have ended."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def ended(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def sessions(self, count: int = 1) -> list[ReadableSpan]:
        """The spans of sessions, of which there are ``count``."""
        found: list[ReadableSpan] = []

        def are_there() -> bool:
            found[:] = [span for span in self.ended() if span.name == "resumehub.session"]
            return len(found) >= count

        until(are_there)
        assert len(found) == count
        return found


@pytest.fixture
def spans() -> Collected:
    return Collected()


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name.removeprefix("resumehub."), dict(event.attributes or {})) for event in span.events]


def test_a_session_is_one_span_through_drops_and_resumes(stage: Any, spans: Collected) -> None:
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider), ping_interval=None)
    ws = s.open()
    s.recorder.wait_for("connect")
    connection = s.drop(ws)
    connection.join("news")
    connection.leave("news")  # which is not its end
    s.say("u1", 1, 2)
    s.clock.advance(3)
    again = s.resume(ws)
    s.recorder.wait_for("restore")
    last = s.resume(again)  # a takeover
    s.recorder.wait_for("restore", count=2)
    assert spans.ended() == []
    last.send_close(4000, "tab frozen")
    s.recorder.wait_for("drop", count=3)
    s.clock.advance(30)
    s.recorder.wait_for("disconnect")

    [span] = spans.sessions()
    assert (span.kind, span.parent, span.status.status_code) == (SpanKind.SERVER, None, StatusCode.UNSET)
    assert events(span) == [
        ("drop", {"error.type": "TransportLost", "resumehub.close_code": 1006}),
        ("restore", {"resumehub.suspended_seconds": 3.0, "resumehub.replayed": 2}),
        ("superseded", {}),
        ("restore", {"resumehub.suspended_seconds": 0.0, "resumehub.replayed": 0}),
        (
            "drop",
            {
                "error.type": "TransportLost",
                "resumehub.close_code": 4000,
                "resumehub.close_reason": "tab frozen",
            },
        ),
    ]
    assert span.attributes is not None
    assert span.attributes["resumehub.end_reason"] == "grace_expired"


def test_a_kick_and_the_close_of_the_hub_end_spans_and_each_ends_once(stage: Any, spans: Collected) -> None:
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider))
    for name in ("a", "b"):
        s.open(name)
        s.recorder.wait_for("connect", name)
    s.hub.kick("a")
    s.open("a")  # the same id, another session
    s.leave()
    reasons = [dict(span.attributes or {})["resumehub.end_reason"] for span in spans.sessions(3)]
    assert sorted(reasons) == ["hub_close", "hub_close", "kick"]


def test_ids_are_attributes_only_if_they_are_asked_for(stage: Any) -> None:
    """A user and an id may say who somebody is; no span has a payload, a token or data."""
    shy, open_ = Collected(), Collected()
    for spans, chosen in ((shy, {}), (open_, {"connection_ids": True, "rooms": True, "users": True})):
        made = OpenTelemetrySpans(spans.provider, **chosen)
        s: Stage = stage(with_users, spans=made, ping_interval=None)
        ws = s.open("u1", query="&user=ada")
        ws.send(text("n", "a secret"))
        s.recorder.wait_for("message")
        s.hub.kick("u1")
    [span] = shy.sessions()
    assert {*(span.attributes or {})} == {"session.id", "resumehub.lossless", "resumehub.end_reason"}
    [span] = open_.sessions()
    found = dict(span.attributes or {})
    named = found["resumehub.connection_id"], found["resumehub.room_id"], found["user.id"]
    assert named == ("u1", "lobby", "ada")
    assert "secret" not in span.to_json()


class _Lines(logging.Handler):
    """The lines that are logged, each with the span that was the current one then."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, int, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        # As opentelemetry-instrumentation-logging does it: the current span, when the record is made.
        context = trace.get_current_span().get_span_context()
        self.lines.append((record.getMessage(), context.trace_id, context.span_id))


@pytest.fixture
def lines() -> Iterator[list[tuple[str, int, int]]]:
    handler, root = _Lines(), logging.getLogger()
    root.addHandler(handler)
    yield handler.lines
    root.removeHandler(handler)


def test_what_is_logged_in_a_handler_or_about_it_has_the_sessions_trace(
    stage: Any, spans: Collected, lines: list[tuple[str, int, int]]
) -> None:
    """The application's lines and resumehub's own; on_disconnect too, behind the span's end."""
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider), ping_interval=None)

    @s.hub.on_message
    def fail(connection: Any, message: Any) -> None:
        logging.getLogger("app").warning("got one")
        raise KeyError(message.payload)

    s.hub.on_disconnect(lambda connection, error: logging.getLogger("app").warning("gone"))
    ws = s.open()
    ws.send(text("n", "a secret"))
    s.recorder.wait_for("drop")
    s.hub.kick("u1")
    [span] = spans.sessions()
    until(lambda: any(line[0] == "gone" for line in lines))
    where = span.context.trace_id, span.context.span_id
    wanted = {"got one", "a handler of on_message raised for 'u1'", "gone"}
    assert {line[0]: line[1:] for line in lines if line[0] in wanted} == dict.fromkeys(wanted, where)
    assert trace.get_current_span() is trace.INVALID_SPAN

    assert (span.status.status_code, span.status.description) == (
        StatusCode.ERROR,
        "on_message raised KeyError",
    )
    assert events(span) == [
        ("handler_error", {"resumehub.hook": "on_message", "exception.type": "KeyError"}),
        ("drop", {"error.type": "HandlerError", "resumehub.hook": "on_message"}),
    ]


def test_an_earlier_session_of_an_id_keeps_its_own_trace(
    stage: Any, spans: Collected, lines: list[tuple[str, int, int]]
) -> None:
    """Its on_disconnect comes when the next one has begun already: what goes by the id would mix them up."""
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider), ping_interval=None)
    begun, gate, log = threading.Event(), threading.Event(), logging.getLogger("app")

    @s.hub.on_message
    def stay(connection: Any, message: Any) -> None:
        begun.set()
        assert gate.wait(PATIENCE)

    s.hub.on_disconnect(lambda connection, error: log.warning(f"gone: {connection.life}"))
    s.open().send(text("n"))
    assert begun.wait(PATIENCE)
    s.hub.kick("u1")
    s.open()  # on_connect waits for its turn
    gate.set()
    s.recorder.wait_for("connect", count=2)
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect", count=2)
    until(lambda: len([line for line in lines if line[0].startswith("gone")]) == 2)
    for span in spans.sessions(2):
        life = dict(span.attributes or {})["session.id"]
        assert (f"gone: {life}", span.context.trace_id, span.context.span_id) in lines


def test_runs_of_handlers_may_have_spans_inside_the_sessions(stage: Any, spans: Collected) -> None:
    """With the exception, and its text: that is why they have to be asked for. A refusal is none."""
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider, handlers=True), ping_interval=None)

    @s.hub.on_message
    def handle(connection: Any, message: Any) -> None:
        with spans.provider.get_tracer("app").start_as_current_span("query"):
            if message.payload == "refuse":
                raise RequestError("no")
            raise KeyError("on purpose")

    ws = s.open()
    ws.send('{"event": "n", "payload": "refuse", "id": "1"}')
    ws.receive(PATIENCE)
    ws.send(text("n"))
    s.recorder.wait_for("drop")
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect")
    until(lambda: "resumehub.on_disconnect" in [span.name for span in spans.ended()])
    [session] = spans.sessions()
    ended = spans.ended()
    names = [span.name for span in ended if span is not session]
    assert names == [
        *("resumehub.on_connect", "query", "resumehub.on_message", "query", "resumehub.on_message"),
        *("resumehub.on_transport_drop", "resumehub.on_disconnect"),
    ]
    inside = {span.context.span_id: span for span in ended if span.name.startswith("resumehub.on_")}
    assert {span.parent.span_id for span in inside.values() if span.parent} == {session.context.span_id}
    refused, failed = [span for span in ended if span.name == "resumehub.on_message"]
    assert (refused.status.status_code, len(refused.events)) == (StatusCode.UNSET, 0)
    assert failed.status.status_code is StatusCode.ERROR
    [exception] = failed.events
    assert dict(exception.attributes or {})["exception.message"] == "'on purpose'"
    assert {span.parent.span_id in inside for span in ended if span.name == "query" and span.parent} == {True}


def two_hubs(make: Callable[[], OpenTelemetrySpans]) -> TwoHubs:
    def chat(runtime: SystemRuntime) -> Hub:
        hub = Hub(lambda request: ("lobby", request.args["id"]), _runtime=runtime, spans=make())
        hub.on_message(echo)
        return hub

    return TwoHubs(chat)


def moved_session(spans: Collected) -> list[ReadableSpan]:
    two = two_hubs(lambda: OpenTelemetrySpans(spans.provider))
    [client] = clients(two, 1)
    client.send(text("n", 1))
    assert payload(client) == 1
    two.move(PATIENCE)
    client.send(text("n", 2))
    assert payload(client) == 2
    two.move(PATIENCE)
    client.close()
    until(lambda: two.hub.count("lobby") == 0)
    two.close()
    return spans.sessions(3)


def test_a_session_that_moves_is_one_trace_with_links_to_its_first_span() -> None:
    """With ``SessionIds``: each process's span ends in it, the trace goes on."""
    first, second, third = moved_session(Collected(id_generator=SessionIds()))
    life = dict(first.attributes or {})["session.id"]
    assert [span.context.trace_id for span in (first, second, third)] == [int(str(life), 16)] * 3
    assert len({span.context.span_id for span in (first, second, third)}) == 3
    assert [len(span.links) for span in (first, second, third)] == [0, 1, 1]
    for link in (*second.links, *third.links):
        assert link.context.span_id == first.context.span_id
        assert link.context.trace_id == first.context.trace_id
    assert [name for name, _ in events(second)] == ["moved_in", "moved_out"]
    reasons = [dict(span.attributes or {})["resumehub.end_reason"] for span in (first, second, third)]
    assert reasons == ["moved", "moved", "normal"]


def test_with_other_ids_they_have_the_sessions_name_in_common() -> None:
    """There is no link then: it would lead nowhere."""
    found = moved_session(Collected())
    assert len({span.context.trace_id for span in found}) == 3
    assert len({dict(span.attributes or {})["session.id"] for span in found}) == 1
    assert not any(span.links for span in found)


def test_a_handler_that_outlasts_the_move_of_its_session_keeps_the_span_where_it_began(
    spans: Collected, caplog: Any, lines: list[tuple[str, int, int]]
) -> None:
    """The span has ended by then; nothing is added to it, and its trace is still that of the lines."""
    two = two_hubs(lambda: OpenTelemetrySpans(spans.provider, handlers=True))
    begun, gate = threading.Event(), threading.Event()

    def stay(connection: Any, message: Any) -> None:
        begun.set()
        assert gate.wait(PATIENCE)
        logging.getLogger("app").warning("still here")
        raise KeyError

    two.hub.runner.handlers["on_message"] = (stay,)
    [client] = clients(two, 1)
    client.send(text("n", 1))
    assert begun.wait(PATIENCE)
    two.move()
    [first] = spans.sessions()
    gate.set()
    client.receive_close()  # the other process is told that it has raised
    until(lambda: any(span.name == "resumehub.on_message" for span in spans.ended()))
    client.close()
    two.close()
    [handled] = [span for span in spans.ended() if span.name == "resumehub.on_message"]
    assert ("still here", handled.context.trace_id, handled.context.span_id) in lines
    assert handled.context.trace_id == first.context.trace_id
    assert (first.status.status_code, handled.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_a_session_that_is_parked_goes_on_in_a_span_that_begins_suspended(
    spans: Collected, tmp_path: Path
) -> None:
    world = Restarts(Folder(str(tmp_path)), spans=OpenTelemetrySpans(spans.provider))
    world.start()
    one = Listening(world, "u1")
    assert one.connected.wait(PATIENCE)
    world.stop()
    [first] = spans.sessions()
    world.start()
    one.wait_back(1)
    one.close()
    world.close()
    second = spans.sessions(2)[1]
    assert events(first)[-1] == ("moved_out", {})
    assert events(second)[0] == ("moved_in", {"resumehub.suspended": True})
    assert [name for name, _ in events(second)][:2] == ["moved_in", "restore"]


def test_other_spans_have_random_ids_with_session_ids(spans: Collected) -> None:
    """Also those that are made between two sessions."""
    ids = SessionIds()
    made = OpenTelemetrySpans(TracerProvider(id_generator=ids, shutdown_on_exit=False))
    one = made.begin(SpanStart("ab" * 16, "u1", "lobby", None, False, False, False))
    assert ids.generate_trace_id() != int("ab" * 16, 16), "it was for that span alone"
    began = one.callback_began("on_message")
    assert trace.get_current_span() is one._span
    one.callback_ended("on_message", began)
    assert trace.get_current_span() is trace.INVALID_SPAN, "the thread is as it was"
    other = made.begin(SpanStart("no number", "u2", "lobby", None, False, False, False))
    assert one._span.get_span_context().trace_id == int("ab" * 16, 16)
    assert other._span.get_span_context().is_valid
    assert ids.generate_trace_id() != ids.generate_trace_id()
    assert ids.generate_span_id() != ids.generate_span_id()


def test_a_span_that_is_over_takes_no_more_and_ends_once(spans: Collected, caplog: Any) -> None:
    """The SDK would log a warning for each."""
    one = OpenTelemetrySpans(spans.provider).begin(
        SpanStart("ab" * 16, "u1", "lobby", None, False, False, False)
    )
    one.ended("kick")
    one.dropped(TransportLost(1006))
    one.callback_raised("on_disconnect", KeyError())
    one.moved_out()
    one.ended("normal")
    [span] = spans.sessions()
    assert (dict(span.attributes or {})["resumehub.end_reason"], len(span.events)) == ("kick", 0)
    assert caplog.records == []


def test_a_collector_of_metrics_goes_together_with_it(stage: Any, spans: Collected) -> None:
    counters = Counters()
    s: Stage = stage(spans=OpenTelemetrySpans(spans.provider), metrics=counters)
    s.open()
    s.recorder.wait_for("connect")
    s.hub.kick("u1")
    spans.sessions()
    assert counters.snapshot()["connections_closed"]["kick"] == 1


class _Broken(SpanProcessor):
    """An exporter of the worst kind: what it raises comes through the SDK."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("broken at the start")

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("broken at the end")


@pytest.mark.parametrize("handlers", [False, True])
def test_one_that_is_broken_costs_nothing_but_its_spans(stage: Any, caplog: Any, handlers: bool) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_Broken())
    s: Stage = stage(spans=OpenTelemetrySpans(provider, handlers=handlers), ping_interval=None)
    ws = s.open()
    ws.send(text("n", 1))
    s.recorder.wait_for("message")
    s.drop(ws)
    s.resume(ws)
    s.recorder.wait_for("restore")
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect")
    assert s.recorder.hooks() == ["connect", "message", "drop", "restore", "disconnect"]
    assert "the span of a session raised in begin; ignored" in caplog.text


def test_without_an_sdk_nothing_is_recorded_and_all_works(stage: Any) -> None:
    s: Stage = stage(spans=OpenTelemetrySpans(trace.NoOpTracerProvider(), handlers=True))
    s.open()
    s.recorder.wait_for("connect")
    s.hub.kick("u1")
    s.recorder.wait_for("disconnect")
