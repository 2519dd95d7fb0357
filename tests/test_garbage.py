"""The search for reference cycles is put off while very many objects are made, and goes on behind it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from resumehub.runtime.garbage import CyclesNotSought, no_cycles_sought


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.enable()
    yield
    gc.enable() if was_on else gc.disable()


def test_it_is_off_until_the_last_one_is_done() -> None:
    one, other = CyclesNotSought(), CyclesNotSought()
    one.begin()
    one.begin()
    other.begin()
    one.end()
    one.end()
    assert not gc.isenabled()
    other.end()
    assert gc.isenabled()


def test_it_stays_off_where_the_application_has_put_it_off() -> None:
    gc.disable()
    with no_cycles_sought():
        pass
    assert not gc.isenabled()


def test_what_was_made_meanwhile_counts_as_old_at_once() -> None:
    """Or the first search behind it would look through all of it, while clients wait."""
    with no_cycles_sought():
        made = [[number] for number in range(100_000)]
    assert gc.get_count()[0] < 1_000
    assert any(one is made for one in gc.get_objects(2))


def test_what_the_application_has_frozen_stays_so() -> None:
    gc.freeze()
    try:
        with no_cycles_sought():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_that_is_forked_meanwhile_searches() -> None:
    with no_cycles_sought():
        child = os.fork()
        if child == 0:
            os._exit(0 if gc.isenabled() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
