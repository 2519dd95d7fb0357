"""An incident that a live hub has recorded becomes a test: it plays again, command by command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from resumehub import Hub
from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.machine import Machine
from resumehub.testing import FakeClock, connect
from resumehub.testing.replay import NotReplayable, replay, script
from resumehub.testing.traces import Record, load
from resumehub.trace import Trace
from tests.core.machine_driver import MachineDriver

V1 = "resumehub.v1"


def incident(limit: int = 10_000) -> tuple[list[Record], str, str]:
    """What a hub records while Ada resumes, Bob falls silent, the hub is drained, and Ada is kicked.

    With the records: as text, and Ada's token.
    """
    clock, trace = FakeClock(), Trace(limit)
    hub = Hub(lambda request: ("lobby", request.args["id"]), clock=clock, trace=trace)
    ada = connect(hub, "/?id=ada", headers={"Sec-WebSocket-Protocol": V1})
    token: str = json.loads(ada.receive())["payload"]["token"]
    ada.drop()
    clock.advance(5)
    offer = {"Sec-WebSocket-Protocol": f"{V1}, resumehub.token.{token}"}
    with connect(hub, "/?id=ada&resume=true&received=0", headers=offer), connect(hub, "/?id=bob") as bob:
        bob.freeze()
        hub.drain(accept_resumes=True)
        hub.kick("ada")
        clock.advance(75)
        assert hub.close().complete
    text = "\n".join(trace.lines())
    return load(text.splitlines()), text, token


def test_an_incident_plays_again_as_it_was() -> None:
    """With a resume, a heartbeat that fails, an expiry and a kick in it."""
    records, _, _ = incident()
    assert {"Observed", "Kick", "SetDrain"} <= {record["what"] for record in records}
    assert any(record.get("hook") == "on_disconnect" and record["lane"] == "hub" for record in records)

    played = replay(records)

    assert played.differences == []
    assert played.broken == []
    assert played.steps > 10


class RecordedMachine(Machine):
    """Writes down what it is told and decides, as the hub does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.records = Trace(1000)
        self.records.note(0.0, "hub", "Started", **asdict(self.rules))

    def handle(self, command: c.Command, now: float) -> Iterator[e.Effect]:
        if not isinstance(command, c.Tick):
            self.records.note_value(now, "command", command)
        for effect in super().handle(command, now):  # noted when its turn comes: an answer may be before it
            if not isinstance(effect, e.Count):
                self.records.note_value(self.now, "effect", effect)
            yield effect


def test_two_looks_at_one_moment_are_both_answered_before_anything_is_judged() -> None:
    """Between the two answers, a transport whose deadline has fired has no other one yet."""
    hub = MachineDriver(RecordedMachine, ping_interval=20.0, write_timeout=10.0)
    hub.register("ada")
    hub.register("bob")
    hub.do(c.Kick("bob"))  # the close frame is not sent, so it is due at the moment of ada's first Ping
    hub.wait(10.0)
    assert isinstance(hub.machine, RecordedMachine)

    played = replay(load(hub.machine.records.lines()))

    assert (played.differences, played.broken) == ([], [])


def test_a_record_gives_no_secret_away() -> None:
    """Tokens are in it as fingerprints, which are enough to play again."""
    _, text, token = incident()
    assert token not in text
    assert token.partition(".")[2] not in text


def test_a_machine_that_decides_otherwise_is_told_apart() -> None:
    """Today's machine may be the one with the bug, or the one without."""

    class Forgetful(Machine):
        def _kick(self, connection_id: str, life: str = "") -> None:
            self._plan.ignore("nobody is ever kicked")

    records, _, _ = incident()
    played = replay(records, Forgetful)
    assert any("EndSession" in sentence for sentence in played.differences)


def test_a_trace_that_has_forgotten_its_beginning_says_so() -> None:
    records, _, _ = incident(limit=5)
    with pytest.raises(NotReplayable, match="start of its hub"):
        replay(records)


@pytest.mark.parametrize(
    ("command", "change", "says"),
    [
        (c.PeerGone, {"what": "Fly"}, "no command of this version"),
        (c.PeerGone, {"transport": None}, "has not the fields that this release writes: .*transport"),
        (
            c.Register,
            {"resume_request": None},
            "has not the fields that this release writes: 'resume_request'",
        ),
        (
            c.Register,
            {"resume_request": {"flavour": 1}},
            "has not the fields that this release writes: .*flavour",
        ),
    ],
    ids=["an unknown command", "a field that is missing", "a part that is missing", "a part that is unknown"],
)
def test_a_trace_of_another_version_says_so(command: type, change: dict[str, Any], says: str) -> None:
    records, _, _ = incident()
    at = next(n for n, record in enumerate(records) if record["what"] == command.__name__)
    for name, value in change.items():
        if value is None:
            del records[at][name]
        else:
            records[at][name] = value
    with pytest.raises(NotReplayable, match=says):
        replay(records)


def test_the_written_test_stands_alone() -> None:
    """It is a module with the trace in it; run here as pytest would."""
    records, _, _ = incident()
    module: dict[str, object] = {}
    exec(script(records, "the_silent_bob"), module)
    test = module["test_the_silent_bob"]
    assert callable(test)
    test()
