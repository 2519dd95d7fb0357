"""E5: an id or a message of a wrong type is told as that, and not as a session that is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resumehub import ConnectionNotFound, Hub, Message
from tests.support import Stage, read

CALLS: dict[str, Callable[[Hub, Any], object]] = {
    "send": lambda hub, id: hub.send(id, Message("n")),
    "kick": lambda hub, id: hub.kick(id),
    "get": lambda hub, id: hub.get(id),
    "cut": lambda hub, id: hub.cut(id),
    "connections": lambda hub, id: hub.connections(id),
    "ids": lambda hub, id: hub.ids(id),
    "count": lambda hub, id: hub.count(id),
    "broadcast": lambda hub, id: hub.broadcast(id, Message("n")),
}
NO_IDS = [7, 0, True, None, b"u1", ["u1"], ("u1",), {"u1"}, 1.5]


@pytest.mark.contract("E5")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("no_id", NO_IDS, ids=repr)
@pytest.mark.parametrize("state", ["nobody was there yet", "u1 is there", "closed"])
def test_an_id_that_is_no_str_is_a_type_error(
    stage: Callable[..., Stage], call: str, no_id: object, state: str
) -> None:
    """An id from a database is an int, and never finds the session "7": the error says what to give."""
    if call == "broadcast" and isinstance(no_id, list | tuple | set):
        no_id = [7]  # it takes several rooms, too
    s = stage()
    if state == "u1 is there":
        s.open()
    if state == "closed":
        s.hub.close()
    with pytest.raises(
        TypeError, match=f"_id must be a str, not {'int' if no_id == [7] else type(no_id).__name__}"
    ) as error:
        CALLS[call](s.hub, no_id)
    assert ("as str" in str(error.value)) == (isinstance(no_id, int) or no_id == [7])


@pytest.mark.contract("E5")
@pytest.mark.parametrize("who", ["u1", "nobody"])
@pytest.mark.parametrize("no_message", ["text", b"text", None, {"event": "n"}, Message], ids=repr)
def test_what_is_no_message_is_a_type_error_whoever_is_there(
    stage: Callable[..., Stage], who: str, no_message: Any
) -> None:
    """A test without clients finds the mistake, too."""
    s = stage()
    for _ in range(2):
        with pytest.raises(TypeError, match="only a Message can be sent"):
            s.hub.send(who, no_message)
        with pytest.raises(TypeError, match="only a Message can be sent"):
            s.hub.broadcast(who, no_message)
        s.open()


@pytest.mark.contract("E5")
def test_an_id_that_nobody_has_is_still_told_so(stage: Callable[..., Stage]) -> None:
    s = stage()
    for _ in range(2):
        with pytest.raises(ConnectionNotFound):
            s.hub.send("nobody", Message("n"))
        with pytest.raises(ConnectionNotFound):
            s.hub.kick("nobody")
        assert s.hub.get("nobody") is None
        assert s.hub.connections("nowhere") == []
        s.hub.broadcast("nowhere", Message("n"))
        s.open()


@pytest.mark.contract("C1", "E5")
def test_to_exclude_none_excludes_nobody(stage: Callable[..., Stage]) -> None:
    """``exclude=sender`` where there is no sender."""
    s = stage()
    ws = s.open()
    s.recorder.wait_for("connect")
    s.hub.broadcast("lobby", Message("n", 1), exclude=None)
    assert read(ws) == ("n", 1)


@pytest.mark.contract("C1", "E5")
@pytest.mark.parametrize("exclude", [7, b"u1", [None], [7], ..., True], ids=repr)
def test_what_is_no_id_and_no_connection_cannot_be_excluded(
    stage: Callable[..., Stage], exclude: Any
) -> None:
    """The error speaks of ids and connections, whatever Python says of iteration."""
    with pytest.raises(TypeError, match="exclude takes connection ids and connections, not "):
        stage().hub.broadcast("lobby", Message("n"), exclude=exclude)
