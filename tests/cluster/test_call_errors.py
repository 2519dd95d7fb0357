"""An exception of the hub's process is the same one in the process that called."""

from __future__ import annotations

import pytest

from resumehub import errors
from resumehub.cluster.calls.call_bodies import Raised
from resumehub.cluster.calls.call_errors import error_of, raised
from resumehub.cluster.calls.call_messages import Answer

RAISED: list[Exception] = [
    errors.ConnectionNotFound("ada"),
    errors.ConnectionClosed("ada"),
    errors.ConnectionClosed("ada", "the session 'ada' goes on in another process"),
    errors.HubClosed("ada"),
    errors.HubClosed(),
    errors.RequestInDoubt("ada", "sum"),
    errors.SendBufferFull("ada", 256, 1 << 20),
    errors.SendBufferFull("ada", 1, 2, "as many requests as may be wait for answers"),
    errors.RequestFailed("no_such_room", "it is gone"),
    errors.RequestFailed("no_such_room"),
    errors.RequestTimeout("sum", 0.5),
    ValueError("the session 'ada' can't join 'news': it is in 64 rooms already"),
    TypeError("limit must be a whole number, 1 or more, not str"),
    RuntimeError("no thread can be started"),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: f"{type(error).__name__}: {str(error)[:30]}")
def test_an_exception_comes_back_as_it_was(error: Exception) -> None:
    """Its class, its attributes, its text."""
    sent = Answer(7, raised(error))
    received = Answer.from_bytes(sent.to_bytes()).result
    assert isinstance(received, Raised)
    again = error_of(received)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_what_is_a_fault_is_logged_where_it_happened(caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told that, and no more: it may quote what is nobody's business."""
    try:
        raise KeyError("secret")
    except KeyError as fault:
        again = error_of(raised(fault))
    assert str(again) == "the hub's process raised KeyError; its log has the traceback"
    assert "a call from another process failed" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        Raised("SystemExit", [0]),
        Raised("ResumeHubError", ["x"]),
        Raised("SendBufferFull", ["ada"]),
        Raised("ValueError", [{}]),
        Raised("ValueError", []),
        Raised("HubClosed", None),
    ],
    ids=str,
)
def test_no_other_exception_is_ever_made(value: Raised) -> None:
    with pytest.raises(ValueError, match="no call raises"):
        error_of(value)
