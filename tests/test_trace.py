"""What a hub records of itself, and what it keeps to itself."""

from __future__ import annotations

import json

import pytest

from resumehub import Hub, Message
from resumehub.trace import Trace
from tests.support import read, text


def recorded(trace):
    return [(record["lane"], record["what"]) for record in trace.records()]


def test_a_trace_tells_a_drop_and_a_resume(stage):
    """An incident can be read from its trace: who came, what was written, which callbacks ran."""
    trace = Trace()
    s = stage(trace=trace)
    ws = s.open()
    ws.send(text("hi", "secret"))
    s.recorder.wait_for("message")
    s.drop(ws)
    s.say("u1", "kept")
    again = s.resume(ws)
    assert read(again) == ("n", "kept")
    s.recorder.wait_for("restore")

    steps = recorded(trace)
    story = [
        ("hub", "Register"),
        ("hub", "OpenSession"),
        ("hub", "AttachTransport"),
        ("app", "on_connect"),
        ("reader", "DataReceived"),
        ("app", "on_message"),
        ("reader", "Ended"),
        ("hub", "DetachTransport"),
        ("app", "on_transport_drop"),
        ("app", "Send"),
        ("hub", "Register"),
        ("hub", "AttachTransport"),
        ("app", "on_transport_restore"),
    ]
    rest = iter(steps)
    missing = [step for step in story if step not in rest]
    assert not missing, steps
    assert ("writer", "Wrote") in steps


def test_no_content_and_no_data_is_recorded(stage):
    """A trace can be handed to a stranger: it has sizes, and nothing that anybody said."""
    trace = Trace()
    s = stage(lambda request: ("lobby", "u1", {"token": "hush-hush"}), trace=trace)
    ws = s.open()
    ws.send(text("whisper", "psst-psst"))
    s.recorder.wait_for("message")
    s.say("u1", "mum-is-the-word")
    read(ws)
    told = "\n".join(trace.lines())
    for secret in ("whisper", "psst", "mum-is", "hush"):
        assert secret not in told


def test_a_trace_is_bounded_and_says_what_it_forgot():
    """A live hub can record for years."""
    trace = Trace(limit=3)
    for number in range(10):
        trace.note(float(number), "hub", "Tock", number=number)
    assert [record["number"] for record in trace.records()] == [7, 8, 9]
    assert trace.forgotten == 7


def test_every_line_is_json_that_stands_alone(stage, tmp_path):
    """A file that was cut off in the middle can still be read up to there."""
    trace = Trace()
    s = stage(trace=trace, resume_window=0)
    ws = s.open(query="&reject=close")
    s.hub.broadcast("lobby", Message("x"))
    read(ws)
    path = tmp_path / "trace.jsonl"
    with path.open("w") as file:
        trace.write(file)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert {"n", "at", "lane", "what"} <= records[0].keys()


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        pytest.param(0, ValueError, id="no room at all"),
        pytest.param(True, TypeError, id="a bool"),
        pytest.param(1.5, TypeError, id="half a record"),
    ],
)
def test_a_wrong_limit_is_named(limit, error):
    """A slip shows at once, with the value."""
    with pytest.raises(error, match=str(limit)):
        Trace(limit=limit)


def test_a_hub_refuses_what_is_no_trace():
    """A file name, the common slip, is told apart from a trace."""
    with pytest.raises(TypeError, match=r"Trace.*'trace\.jsonl'"):
        Hub(trace="trace.jsonl")
