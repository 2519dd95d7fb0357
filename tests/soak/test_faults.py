"""What goes wrong is decided by the seed, and strikes at the byte that was meant."""

from __future__ import annotations

import pytest

from tools.soaking.faults import Kind, Part, Place, plan
from tools.soaking.flow import Flow

HEAD = b"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n"


def test_the_same_seed_gives_the_same_faults() -> None:
    """A run that failed can be played again: no fault depends on another, or on the order of asking."""
    dials = [(client, dial) for client in range(10) for dial in range(10)]

    faults = {at: plan(7, *at) for at in dials}

    assert {at: plan(7, *at) for at in reversed(dials)} == faults
    assert {at: plan(8, *at) for at in dials} != faults


def test_every_fault_and_every_place_comes_up() -> None:
    """A few hundred dials have met all there is."""
    faults = [plan(1, client, dial) for client in range(20) for dial in range(20)]

    assert {fault.kind for fault in faults} == set(Kind)
    assert {fault.place.name for fault in faults} == {
        "in the request",
        "in the 101",
        "between the 101 and $hello",
        "in the client's frames",
        "in the server's frames",
    }


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("part", "byte", "passes"),
    [
        ("head", 0, 0),
        ("head", 5, 5),
        ("head", 10_000, len(HEAD)),
        ("frames", 0, len(HEAD)),
        ("frames", 4, len(HEAD) + 4),
    ],
)
def test_a_fault_strikes_at_its_byte_however_the_bytes_come(
    part: Part, byte: int, passes: int, size: int
) -> None:
    """So many bytes of the part pass, and not one more."""
    flow = Flow(Place("up", part, byte))
    stream = HEAD + b"frames and more frames"
    passed = b""

    for start in range(0, len(stream), size):
        passed += flow.take(stream[start : start + size])
        if flow.struck:
            break

    assert flow.struck
    assert passed == stream[:passes]


def test_without_a_place_everything_passes() -> None:
    """The direction that is not struck is left alone."""
    flow = Flow(None)

    assert flow.take(HEAD + b"frames") == HEAD + b"frames"
    assert not flow.struck
    assert flow.head_size == len(HEAD)
