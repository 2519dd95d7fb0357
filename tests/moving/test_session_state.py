"""What a session is written down as: one encoding, a version, clear errors, no secret in what is shown."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from resumehub import Hub, Message
from resumehub.errors import ConnectionNotFound, NotMovable, SessionStateError
from resumehub.server.moving import adopt_session, export_session
from resumehub.session.session_state import VERSION, SessionState, decode, encode
from resumehub.testing import Lab
from resumehub.transport.base import CloseReceived
from tests.moving.world import ID, Life, WireEnd


@pytest.fixture
def state() -> SessionState:
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=True, window=None)
        life.send("a secret message")
        assert life.hub.runner.loop is not None
        departure = export_session(life.hub.runner.loop, lab.runtime, ID)
        assert departure.transport is not None
        departure.transport.release()
        life.end()
    return departure.state


def test_it_is_read_as_it_was_written(state: SessionState) -> None:
    assert decode(encode(state)) == state


def test_a_secret_is_shown_nowhere(state: SessionState) -> None:
    """Neither tokens nor messages: such a value ends up in logs and assertion messages."""
    shown = f"{state!r} {state} {state.decisions.credentials!r}"
    assert "secret" not in shown
    assert ID in shown


def test_damage_is_found_wherever_it_is(state: SessionState) -> None:
    data = encode(state)
    for at in range(0, len(data), 7):
        damaged = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :]
        with pytest.raises(SessionStateError, match=r"damaged|not a session"):
            decode(damaged)
        with pytest.raises(SessionStateError, match=r"damaged|not a session"):
            decode(data[:at])


def test_a_later_version_is_named_with_its_session(state: SessionState) -> None:
    data = encode(state)
    rest = (VERSION + 1).to_bytes(2) + data[10:]
    with pytest.raises(SessionStateError, match="'alice' was written by a later release") as error:
        decode(data[:4] + zlib.crc32(rest).to_bytes(4) + rest)
    assert error.value.connection_id == ID


def test_a_ledger_that_does_not_add_up_is_damage(state: SessionState) -> None:
    box = state.outbox
    damaged = replace(state, outbox=replace(box, ledger=replace(box.ledger, accepted=7)))
    with Lab(stop_at_locks=False) as lab:
        hub = Hub(clock=lab.clock, _runtime=lab.runtime)
        with pytest.raises(SessionStateError, match="its ledger says"):
            adopt(lab, hub, damaged, Life(lab, v1=False, window=None))
        assert hub.get(ID) is None
        assert hub.close(60.0).complete


def adopt(lab: Lab, hub: Hub, state: SessionState, life: Life) -> None:
    """Into ``hub``, on the wire of a life that is about to end."""
    loop = hub.runner.start()
    try:
        adopt_session(loop, lab.runtime, state, WireEnd(life.wires[-1]))
    finally:
        lab.run_until_idle()
        life.end()


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"tuple": (1, 2)}, r"connection.data\['tuple'\] is a tuple"),
        ({"deep": [{7: "seven"}]}, r"connection.data\['deep'\]\[0\]\[7\] is under a key of type int"),
        ({"bytes": b""}, r"connection.data\['bytes'\] is a bytes"),
        (float("inf"), r"connection.data is inf"),
    ],
)
def test_data_that_json_would_change_is_named_and_the_session_stays(data: object, place: str) -> None:
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=False, window=None)
        connection = life.hub.get(ID)
        loop = life.hub.runner.loop
        assert connection is not None
        assert loop is not None
        connection.data = data
        with pytest.raises(TypeError, match=place):
            export_session(loop, lab.runtime, ID)
        connection.send(Message("n", "still here"))
        assert b"still here" in life.end()[-1]  # type: ignore[operator]


def test_a_session_that_is_not_there_cannot_leave() -> None:
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=False, window=None)
        life.kick()
        assert life.hub.runner.loop is not None
        with pytest.raises(ConnectionNotFound):
            export_session(life.hub.runner.loop, lab.runtime, ID)
        life.end()


def test_a_close_frame_that_was_read_keeps_it_here() -> None:
    """The client has left: that is for the process that read it."""
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=False, window=None)
        loop = life.hub.runner.loop
        assert loop is not None
        [io] = loop.transports
        part = io.part

        def part_behind_a_close_frame() -> None:
            part()
            io.backlog.append(CloseReceived(1000, ""))  # read together with a message, and not looked at yet

        io.part = part_behind_a_close_frame  # type: ignore[method-assign]
        with pytest.raises(NotMovable, match="has come to an end"):
            export_session(loop, lab.runtime, ID)
        lab.run_until_idle()
        assert [what[0] for what in life.end() if isinstance(what, tuple)][-1] == "disconnect"


def test_an_id_that_is_in_use_keeps_it_out(state: SessionState) -> None:
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=False, window=None)
        loop = life.hub.runner.loop
        assert loop is not None
        stream = WireEnd(life.wires[-1])
        with pytest.raises(NotMovable, match="the id is another session's here"):
            adopt_session(loop, lab.runtime, state, stream)
        assert not stream.released
        life.send("untouched")
        assert b"untouched" in life.end()[-1]  # type: ignore[operator]
