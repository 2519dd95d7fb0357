"""A session has a home room for life, and joins and leaves others (E1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import ConnectionClosed, Hub, HubClosed, Message
from resumehub.metrics import NoopMetrics
from tests.support import PATIENCE, Call, Stage, read


class Seen(NoopMetrics):
    """Rooms that were created and destroyed, and broadcasts with their recipients."""

    def __init__(self) -> None:
        self.rooms: list[str] = []
        self.broadcasts: list[tuple[str, int]] = []

    def room_created(self, room_id: str) -> None:
        self.rooms.append(f"+{room_id}")

    def room_destroyed(self, room_id: str) -> None:
        self.rooms.append(f"-{room_id}")

    def message_broadcast(self, room_id: str, size: int, recipients: int) -> None:
        self.broadcasts.append((room_id, recipients))


@pytest.mark.contract("E1")
def test_a_session_gets_what_is_said_in_the_rooms_that_it_has_joined(stage) -> None:
    s = stage()
    ws = s.open()
    connection = s.hub.get("u1")
    assert (connection.room_id, connection.rooms) == ("lobby", ("lobby",))

    connection.join("news")
    s.hub.broadcast("news", Message("n", 1))
    connection.leave("news")
    s.hub.broadcast("news", Message("n", 2))
    s.hub.broadcast("lobby", Message("n", 3))

    assert [read(ws), read(ws)] == [("n", 1), ("n", 3)]
    assert connection.rooms == ("lobby",)
    assert s.hub.rooms() == ["lobby"]


@pytest.mark.contract("E1")
def test_memberships_outlive_drops_and_resumes_and_end_with_the_session(stage) -> None:
    """A suspended session is a member, and can be joined and taken out."""
    s = stage()
    ws = s.open()
    connection = s.hub.get("u1")
    connection.join("news")
    s.drop(ws)
    connection.join("sports")
    connection.join("weather")
    connection.leave("weather")
    for number, room in enumerate(("news", "weather", "sports"), 1):
        s.hub.broadcast(room, Message("n", number))

    ws = s.resume(ws)

    assert [read(ws), read(ws)] == [("n", 1), ("n", 3)]
    assert connection.rooms == ("lobby", "news", "sports")
    assert [s.hub.count(room) for room in (*connection.rooms, "weather")] == [1, 1, 1, 0]
    connection.close()
    assert s.hub.rooms() == []
    assert s.hub.connections("news") == []


@pytest.mark.contract("E1")
def test_each_receiver_of_several_rooms_gets_a_broadcast_once(stage) -> None:
    """Whoever is in two of them counts as a recipient of the first."""
    seen = Seen()
    s = stage(metrics=seen)
    ada, ben = s.open("ada", "lobby"), s.open("ben", "attic")
    s.hub.get("ada").join("attic")

    s.hub.broadcast(["lobby", "attic", "lobby", "nowhere"], Message("n", 1))
    s.hub.broadcast((room for room in ("attic", "lobby")), Message("n", 2), exclude="ben")
    s.hub.broadcast([], Message("n", 3))
    s.say("ada", 4)
    s.say("ben", 4)

    assert [read(ada) for _ in range(3)] == [("n", 1), ("n", 2), ("n", 4)]
    assert [read(ben) for _ in range(2)] == [("n", 1), ("n", 4)]
    assert seen.broadcasts == [("lobby", 1), ("attic", 1), ("attic", 1), ("lobby", 0)]


@pytest.mark.contract("E1")
def test_rooms_are_created_and_destroyed_by_memberships(stage) -> None:
    seen = Seen()
    s = stage(metrics=seen)
    s.open("ada")
    s.open("ben", "attic")
    s.hub.get("ada").join("attic")
    s.hub.get("ada").join("news")
    s.hub.get("ada").leave("news")
    s.hub.kick("ben")
    assert seen.rooms == ["+lobby", "+attic", "+news", "-news"]

    s.hub.kick("ada")

    assert seen.rooms[4:] == ["-lobby", "-attic"]


@pytest.mark.contract("E1")
def test_joining_twice_and_leaving_twice_are_no_errors(stage) -> None:
    s = stage()
    s.open()
    connection = s.hub.get("u1")
    for _ in range(2):
        connection.join("news")
    assert connection.rooms == ("lobby", "news")
    for _ in range(2):
        connection.leave("news")
    connection.join("lobby")
    assert connection.rooms == ("lobby",)


@pytest.mark.contract("E1")
@pytest.mark.parametrize(
    "room, error, says",
    [
        ("", ValueError, "room_id is empty"),
        ("x" * 256, ValueError, "has 256 characters"),
        ("a\nb", ValueError, r"U\+000A at position 1"),
        (7, TypeError, "must be a str, not int"),
        (None, TypeError, "must be a str, not NoneType"),
    ],
)
@pytest.mark.parametrize("what", ["join", "leave"])
def test_a_room_id_that_the_upgrade_would_refuse_is_refused(stage, what, room, error, says) -> None:
    s = stage()
    s.open()
    with pytest.raises(error, match=says):
        getattr(s.hub.get("u1"), what)(room)


@pytest.mark.contract("E1")
def test_the_home_room_is_for_life(stage) -> None:
    s = stage()
    s.open()
    with pytest.raises(ValueError, match="'lobby' is the home room of the session 'u1'"):
        s.hub.get("u1").leave("lobby")


@pytest.mark.contract("E1")
def test_a_session_is_in_at_most_max_rooms_rooms(stage) -> None:
    s = stage(max_rooms=3)
    s.open()
    connection = s.hub.get("u1")
    connection.join("a")
    connection.join("b")
    with pytest.raises(ValueError, match=r"can't join 'c': it is in 3 rooms already; .* raise max_rooms"):
        connection.join("c")
    connection.join("b")
    connection.leave("a")
    connection.join("c")
    assert connection.rooms == ("lobby", "b", "c")


@pytest.mark.contract("E1")
@pytest.mark.parametrize(
    "end, error",
    [
        (lambda s: s.hub.kick("u1"), ConnectionClosed),
        (lambda s: s.hub.close(PATIENCE), ConnectionClosed),
    ],
    ids=["it was kicked", "its hub was closed"],
)
def test_joining_a_closed_session_says_so(
    stage, end: Callable[[Stage], object], error: type[Exception]
) -> None:
    s = stage()
    ws = s.open()
    connection = s.hub.get("u1")
    connection.join("news")
    ws.sock.close()
    end(s)
    with pytest.raises(error):
        connection.join("sports")
    connection.leave("news")


@pytest.mark.contract("E1")
def test_a_handler_may_join_and_broadcast(stage) -> None:
    """In on_connect, before the first message: what is said in the room from then on arrives."""
    s = stage()

    @s.hub.on_connect
    def enter(connection) -> None:
        connection.join("news")
        s.hub.broadcast("news", Message("n", connection.id))

    ws = s.open()
    assert read(ws) == ("n", "u1")


@pytest.mark.contract("E1")
@pytest.mark.parametrize("what", [7, ["lobby", 7], [None]])
def test_a_broadcast_takes_room_ids(stage, what) -> None:
    s = stage()
    with pytest.raises(TypeError, match=r"room_id must be a str, not (int|NoneType)"):
        s.hub.broadcast(what, Message("n"))


@pytest.mark.contract("E1")
def test_two_threads_join_at_once_and_both_return(stage) -> None:
    s = stage(max_rooms=40)
    s.open()
    connection = s.hub.get("u1")
    rooms = [f"room {number}" for number in range(30)]
    calls = [Call(lambda: [connection.join(room) for room in rooms]) for _ in range(2)]
    for call in calls:
        call.result()
    assert sorted(connection.rooms) == sorted(["lobby", *rooms])
    assert all(s.hub.count(room) == 1 for room in rooms)


@pytest.mark.contract("E1")
def test_a_closed_hub_refuses_a_broadcast_to_several(stage) -> None:
    s = stage()
    s.hub.close(PATIENCE)
    hub: Hub = s.hub
    with pytest.raises(HubClosed):
        hub.broadcast(["lobby", "attic"], Message("n"))
    assert hub.count("lobby") == 0


@pytest.mark.contract("E1")
def test_the_ids_of_a_room_are_those_of_its_connections(stage) -> None:
    """The first ``limit`` of them; a limit that says nothing is refused."""
    s = stage()
    assert s.hub.ids("lobby") == []
    for name in ("cleo", "ada", "ben"):
        s.open(name)
    assert s.hub.ids("lobby") == ["cleo", "ada", "ben"]
    assert s.hub.ids("lobby", limit=2) == ["cleo", "ada"]
    assert s.hub.ids("nowhere") == []
    with pytest.raises(ValueError, match="limit must be a whole number, 1 or more, not 0"):
        s.hub.ids("lobby", limit=0)
    with pytest.raises(TypeError, match="limit must be a whole number, 1 or more, not float"):
        s.hub.ids("lobby", limit=1.5)
