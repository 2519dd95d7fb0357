"""Reading, checking, telling and drawing a trace."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from resumehub.testing.drawing import html, svg
from resumehub.testing.traces import arrows, load, mermaid, prose, verify
from resumehub.trace import LANES, Trace
from tests.support import read


def hub(at, what, **fields):
    return {"n": 0, "at": at, "lane": "hub", "what": what, **fields}


def app(at, what, epoch=1):
    return {"n": 0, "at": at, "lane": "app", "what": what, "epoch": epoch, "connection_id": "a"}


def opened(at=0.0):
    return [
        hub(0.0, "Started", resume_window=30.0),
        hub(at, "OpenSession", epoch=1, connection_id="a", room_id="r", transport=1),
        hub(at, "AttachTransport", epoch=1, transport=1, generation=1),
        app(at, "on_connect"),
    ]


def dropped(at):
    return [hub(at, "DetachTransport", epoch=1, transport=1), app(at, "on_transport_drop")]


def resumed(at, generation=2):
    return [
        hub(at, "AttachTransport", epoch=1, transport=2, generation=generation),
        app(at, "on_transport_restore"),
    ]


def ended(at, reason="closed"):
    return [
        hub(at, "EndSession", epoch=1, flush=False, drop_reason=reason, deliver=False),
        app(at, "on_disconnect"),
    ]


@pytest.fixture
def incident(stage):
    """The records of a drop, a resume, a kick and a refused resume."""
    trace = Trace()
    s = stage(trace=trace)
    ws = s.open()
    s.clock.advance(1)
    s.drop(ws)
    s.clock.advance(3)
    s.say("u1", '<kept> & "quoted"')
    again = s.resume(ws)
    read(again)
    s.hub.kick("u1")
    again.receive_close()
    s.recorder.wait_for("disconnect")
    late = s.open(query="&resume=true&reject=close")
    s.clock.advance(1)
    assert late.receive_close() == (4100, "session expired")
    return trace.records()


def test_a_real_trace_keeps_every_invariant(incident):
    """What the hub does passes its own check."""
    assert verify(incident) == []


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        pytest.param(
            [*opened(), hub(1, "AttachTransport", epoch=1, transport=2, generation=2)],
            "gets transport 2 while it is on 1",
            id="two transports at once",
        ),
        pytest.param(
            [*opened(), *dropped(1), *resumed(2, generation=3)],
            "goes from generation 1 to 3",
            id="a generation is skipped",
        ),
        pytest.param([*opened(), *ended(1), *ended(2)], "ends twice", id="a session ends twice"),
        pytest.param(
            [*opened(), *ended(1), app(1, "on_message")],
            "on_message after on_disconnect",
            id="life after the end",
        ),
        pytest.param(
            [*opened()[:-1], app(0, "on_message")],
            "on_message before on_connect",
            id="a message before the connect",
        ),
        pytest.param([*opened(), app(1, "on_connect")], "on_connect again", id="connected twice"),
        pytest.param(
            [*opened(), app(1, "on_transport_restore")],
            "on_transport_restore where on_transport_drop was due",
            id="restored before it dropped",
        ),
        pytest.param(
            [*opened(), *dropped(1), *resumed(31)],
            "was to expire at 31.0 and is resumed at 31",
            id="resumed too late",
        ),
        pytest.param(
            [*opened(), *dropped(1), *ended(5, "expired")],
            "was to expire at 31.0 and expired at 5",
            id="expired too early",
        ),
        pytest.param([*opened(5), hub(4, "Tick")], "time goes back", id="time goes back"),
        pytest.param(
            [*opened(), hub(1, "DetachTransport", epoch=1, transport=7)],
            "loses transport 7 but is on 1",
            id="a late drop of another transport",
        ),
    ],
)
def test_a_broken_trace_is_told_in_a_sentence(records, sentence):
    """Each invariant can fail, and says with both values how it did."""
    assert any(sentence in told for told in verify(records)), verify(records)


def test_a_session_that_began_before_the_trace_is_no_fault():
    """A bounded trace forgets beginnings; what it still has is checked."""
    assert verify([*resumed(3), hub(4, "DetachTransport", epoch=1, transport=2), *ended(40)]) == []


def test_every_record_has_a_sentence(incident):
    """Nothing in a trace is shown as a raw record."""
    told = list(prose(incident))
    assert len(told) == len(incident)
    assert any("'u1' comes back with resume=true on transport 2" in line for line in told)
    assert any("4100 'session expired'" in line for line in told)


def test_a_mermaid_diagram_names_every_lane_and_breaks_no_syntax(incident):
    """The diagram can be pasted into a page as it is."""
    lines = mermaid(incident).splitlines()
    assert lines[0] == "sequenceDiagram"
    assert [line.split()[-1] for line in lines[1 : 1 + len(LANES)]] == list(LANES)
    for line in lines[1 + len(LANES) :]:
        assert ";" not in line
        assert "->>" in line or line.strip().startswith("Note over ")


def test_a_picture_is_well_formed_and_complete(incident):
    """Every move is drawn once, whatever characters its ids have."""
    document = ElementTree.fromstring(svg(incident, title="<&> it"))
    labels = [element.text for element in document.iter("{http://www.w3.org/2000/svg}text")]
    assert "<&> it" in labels
    for arrow in arrows(incident):
        assert arrow.label in labels
    assert "prefers-color-scheme: dark" in svg(incident)
    assert html(incident).startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param("{", "line 2 is no JSON", id="cut off"),
        pytest.param("[1]", "line 2 is no record", id="something else"),
        pytest.param('{"n": 1}', "line 2 is no record", id="half a record"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_by_line(line, complaint):
    """The message names the line to look at."""
    good = '{"n":1,"at":0,"lane":"hub","what":"Tick"}'
    with pytest.raises(ValueError, match=complaint):
        load([good, line])


def test_the_command_tells_draws_and_judges(incident, tmp_path):
    """From a file to a verdict and a picture, with an exit status for scripts."""
    trace = Trace()
    for record in incident:
        trace.note(record.pop("at"), record.pop("lane"), record.pop("what"), **record)
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(trace.lines()))
    run = [sys.executable, "-m", "resumehub.testing.race"]
    done = subprocess.run([*run, path, "--svg", tmp_path / "t.svg"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no broken invariants" in done.stdout.splitlines()[-1]
    ElementTree.parse(tmp_path / "t.svg")

    path.write_text(path.read_text() + '\n{"n":999,"at":-5,"lane":"hub","what":"Tick"}\n')
    broken = subprocess.run([*run, path, "--quiet"], capture_output=True, text=True)
    assert broken.returncode == 1
    assert "BROKEN: record 999: time goes back" in broken.stdout

    nothing = subprocess.run([*run, tmp_path / "none"], capture_output=True, text=True)
    assert nothing.returncode == 2
    assert "none" in nothing.stderr
    assert "Traceback" not in nothing.stderr
