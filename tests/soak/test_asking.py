"""The two ends of a request in the soak: what each counts."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from resumehub import Message
from resumehub.errors import ConnectionClosed, RequestFailed, RequestInDoubt, SendBufferFull
from tests.support import PATIENCE
from tools.soaking.asking import EVENT, Answerer, Asker, Requests


def raises(error: Exception) -> Any:
    def ask(payload: Any) -> Any:
        raise error

    return ask


@pytest.mark.parametrize(
    ("ask", "end"),
    [
        (lambda payload: {"of": payload}, "answered"),
        (lambda payload: {"of": ["ada", 99]}, "wrong"),
        (raises(RequestInDoubt("ada", EVENT)), "in_doubt"),
        (raises(ConnectionClosed("ada")), "unsent"),
        (raises(SendBufferFull("ada", 1, 1)), "refused"),
        (raises(RequestFailed("internal_error")), "failed"),
    ],
)
def test_each_end_of_a_request_is_counted(ask: Any, end: str) -> None:
    """One after the other, until it is told to stop."""
    asked: list[Any] = []
    enough = threading.Event()

    def once(payload: Any) -> Any:
        asked.append(payload)
        if len(asked) == 3:
            asker.tell_to_stop()
            enough.set()
        return ask(payload)

    asker = Asker("ada", 0.0001, once)
    asker.start()
    assert enough.wait(PATIENCE)
    asker._thread.join(PATIENCE)
    assert asked == [["ada", 1], ["ada", 2], ["ada", 3]]
    assert asker.summary() == {end: 3, "stuck": 0}


def test_what_is_handled_twice_or_goes_astray_is_seen() -> None:
    answerer = Answerer("ada")
    for payload in (["ada", 1], ["ada", 2], ["ada", 2], ["bob", 3], None):
        assert answerer.answer(Message(EVENT, payload, id="1")) == {"of": payload}
    assert answerer.summary() == {"handled": 2, "twice": 1, "astray": 2}


def test_both_ends_are_added_up() -> None:
    requests = Requests()
    for _ in range(2):
        requests.add({"answered": 3, "stuck": 0}, {"handled": 3, "twice": 0, "astray": 0})
    assert (requests.answered, requests.handled) == (6, 6)
    assert requests.failures("up") == []
