"""Inputs that ``tools/fuzz`` has found, replayed; and a little of each target, so that it does not rot.

A file in ``tests/fuzz/found/`` has failed once. The long runs are the command's (docs/howto/fuzz.md).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from resumehub.transport.fast_frame_parser import FastFrameParser
from tools.fuzzing import __main__ as command
from tools.fuzzing import running
from tools.fuzzing.choices import Choices
from tools.fuzzing.findings import fault_of, kept, read, save, smaller
from tools.fuzzing.running import at_random
from tools.fuzzing.targets import NAMES, Target, load

RUNS = {"control": 6, "snapshots": 40, "deflate": 25, "frames": 60}
"""How many inputs of a target are tried here; 150 of the others."""
FOREVER = 3600.0


@pytest.mark.parametrize("path", kept(), ids=lambda path: path.stem)
def test_what_was_found_holds_now(path: Path) -> None:
    name, data = read(path)
    assert name in NAMES
    load(name).run(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_few_inputs_of_each_target(name: str, tmp_path: Path) -> None:
    """The same ones in every run."""
    outcome = at_random(name, RUNS.get(name, 150), FOREVER, 3, tmp_path)
    assert outcome.found == []
    assert outcome.runs == RUNS.get(name, 150)


# -- the tool itself ----------------------------------------------------------------------


def test_a_planted_fault_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Given a parser that takes an empty fragment for the last one, then a run says so, in one small file."""
    parse = FastFrameParser.parse

    def wrong(parser: FastFrameParser, data: bytes) -> list[object]:
        return parse(parser, data.replace(b"\x01\x80", b"\x81\x80"))  # type: ignore[return-value]

    monkeypatch.setattr(FastFrameParser, "parse", wrong)
    monkeypatch.setattr(running, "MOST_FINDINGS", 1)
    outcome = at_random("frames", 400, FOREVER, 1, tmp_path)
    assert outcome.found
    path = kept(tmp_path)[0]
    name, data = read(path)
    assert (name, len(data) < 60) == ("frames", True)
    assert fault_of(load("frames"), data) is not None
    assert command.replay([path]) == 1
    monkeypatch.undo()
    assert command.replay([path]) == 0


def test_an_input_is_made_smaller_as_long_as_it_fails_at_the_same_place(tmp_path: Path) -> None:
    def run(data: bytes) -> None:
        assert data.count(b"x") < 2, "two of them"
        assert len(data) < 1000, "too long"

    target = Target("frames", run, ())
    assert smaller(target, b"a long x and another x, and more" * 3) == b"xx"
    path = save(tmp_path, target, b"..x..x..")
    assert (
        path.read_text()
        == "# AssertionError: two of them assert 2 < 2 + where 2 = <built-in method count of "
        + (path.read_text().partition("method count of ")[2])
    )
    assert read(path) == ("frames", b"xx")


def test_choices_end_in_the_simplest_ones() -> None:
    """Whatever has no bytes left decides for the first option, for 0, and for nothing."""
    choices = Choices(b"\x02\x05")
    assert choices.pick("abc") == "c"
    assert choices.below(4) == 1
    assert not choices.more
    assert (choices.pick("abc"), choices.below(1000), choices.yes(), choices.bytes(9)) == ("a", 0, False, b"")
    assert choices.cut(b"whole") == [b"whole"]
    assert choices.damage(b"whole") == b"whole"


def test_a_number_may_take_more_than_one_byte() -> None:
    assert {Choices(bytes([high, low])).below(512) for high in range(2) for low in range(256)} == set(
        range(512)
    )
