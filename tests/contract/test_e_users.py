"""Messages and kicks for all sessions of one user (E2). Whose session a client may resume is A4b."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resumehub import Connection, ConnectionClosed, HubClosed, Message
from tests.contract.peers import until
from tests.support import PATIENCE, Stage, read, with_users


@pytest.fixture
def s(stage: Callable[..., Stage]) -> Stage:
    return stage(with_users, send_buffer=3)


def ids(s: Stage, user: str) -> list[str]:
    return [connection.id for connection in s.hub.connections(user=user)]


@pytest.mark.contract("E2")
def test_a_message_reaches_each_session_of_a_user_once(s: Stage) -> None:
    """Whatever rooms they are in; suspended ones get it when they come back. It says how many there are."""
    phone = s.open("phone", "lobby", "&user=ada")
    laptop = s.open("laptop", "attic", "&user=ada")
    ben = s.open("ben", "lobby", "&user=ben")
    nobody = s.open("anon", "lobby")
    s.drop(laptop, "laptop")

    assert s.hub.send_to_user("ada", Message("n", 1)) == 2
    assert s.hub.send_to_user("ADA", Message("n", 2)) == 0
    s.hub.broadcast(["lobby", "attic"], Message("n", 3))

    assert [read(phone), read(phone)] == [("n", 1), ("n", 3)]
    assert read(ben) == read(nobody) == ("n", 3)
    back = s.resume(laptop)
    assert [read(back), read(back)] == [("n", 1), ("n", 3)]
    assert ids(s, "ada") == ["phone", "laptop"]
    assert [s.hub.get(one).user for one in ("phone", "ben", "anon")] == ["ada", "ben", None]


@pytest.mark.contract("E2", "C1")
def test_a_full_buffer_loses_its_oldest_as_with_a_broadcast(s: Stage) -> None:
    """One tab that sleeps does not keep the others from being told."""
    awake, asleep = s.open("awake", query="&user=ada"), s.open("asleep", query="&user=ada")
    s.drop(asleep, "asleep")

    assert [s.hub.send_to_user("ada", Message("n", number)) for number in range(5)] == [2] * 5

    assert [read(awake)[1] for _ in range(5)] == list(range(5))
    back = s.resume(asleep)
    assert [read(back)[1] for _ in range(3)] == [2, 3, 4]


@pytest.mark.contract("E2", "C2")
def test_what_one_thread_sends_arrives_in_its_order(s: Stage) -> None:
    ws = s.open("u1", query="&user=ada")
    for number in range(0, 30, 3):
        s.hub.send_to_user("ada", Message("n", number))
        s.hub.broadcast("lobby", Message("n", number + 1))
        s.hub.send("u1", Message("n", number + 2))
    assert [read(ws)[1] for _ in range(30)] == list(range(30))


@pytest.mark.contract("E2")
def test_a_user_is_kicked_out_of_all_sessions(s: Stage) -> None:
    """Suspended ones too, at once: their ids are free when it returns."""
    here, away = s.open("here", query="&user=ada"), s.open("away", query="&user=ada")
    s.open("ben", query="&user=ben")
    s.drop(away, "away")
    connections = s.hub.connections(user="ada")

    s.hub.kick_user("ada")

    assert all(connection.closed for connection in connections)
    assert here.receive_close(PATIENCE) == (1000, "kicked")
    assert (ids(s, "ada"), ids(s, "ben")) == ([], ["ben"])
    assert s.hub.send_to_user("ada", Message("n")) == 0
    assert s.open("away", query="&user=eve"), "the id is free, for another user"
    s.hub.kick_user("ada")
    assert s.hub.get("away").user == "eve"


@pytest.mark.contract("E2")
def test_a_user_stays_with_the_session_through_drops(s: Stage) -> None:
    ws = s.open("u1", query="&user=ada")
    connection = s.drop(ws, "u1")
    s.open("u1", query="&resume=true&user=ada")
    assert connection.user == "ada"
    assert ids(s, "ada") == ["u1"]
    with pytest.raises(AttributeError):
        connection.user = "eve"


@pytest.mark.contract("E2")
@pytest.mark.parametrize("user, says", [(7, "not int; give user as str"), (b"x", "not bytes")])
@pytest.mark.parametrize(
    "call",
    [
        lambda hub, user: hub.send_to_user(user, Message("n")),
        lambda hub, user: hub.kick_user(user),
        lambda hub, user: hub.connections(user=user),
    ],
    ids=["send_to_user", "kick_user", "connections"],
)
def test_a_user_is_a_str(s: Stage, call, user, says) -> None:
    """A database's number is the usual mistake."""
    with pytest.raises(TypeError, match=f"user must be a str, {says}"):
        call(s.hub, user)


@pytest.mark.contract("E2")
def test_connections_are_looked_up_by_room_or_by_user(s: Stage) -> None:
    with pytest.raises(TypeError, match=r"either a room_id or user=…"):
        s.hub.connections("lobby", user="ada")
    with pytest.raises(TypeError, match="room_id must be a str, not NoneType"):
        s.hub.connections()


@pytest.mark.contract("E2")
def test_after_the_hub_was_closed_users_have_no_sessions(s: Stage) -> None:
    s.open("u1", query="&user=ada").sock.close()
    assert s.hub.close(PATIENCE).complete
    for call in (lambda: s.hub.send_to_user("ada", Message("n")), lambda: s.hub.kick_user("ada")):
        with pytest.raises(HubClosed):
            call()
    assert s.hub.connections(user="ada") == []
    assert issubclass(HubClosed, ConnectionClosed)


@pytest.mark.contract("E1", "E2", "E3")
def test_the_statistics_count_memberships_users_and_open_requests(s: Stage) -> None:
    """All that is there, suspended sessions included; and nothing is left of a session that has ended."""
    deferred: list[Message] = []

    @s.hub.on_message
    def later(connection: Connection, message: Message) -> None:
        message.defer()
        deferred.append(message)

    ada, tab = s.open("ada", query="&user=ada"), s.open("tab", query="&user=ada")
    s.open("ben", query="&user=ben")
    s.hub.get("ada").join("attic")
    s.drop(tab, "tab")
    ada.send('{"event": "ask", "id": "1"}')

    def counts() -> list[int]:
        stats = s.hub.stats()
        return [stats.sessions, stats.rooms, stats.memberships, stats.users, stats.requests]

    until(lambda: deferred)
    assert counts() == [3, 2, 4, 2, 1]
    deferred[0].reply("there")
    assert counts() == [3, 2, 4, 2, 0]
    s.hub.kick_user("ada")
    assert counts() == [1, 1, 1, 1, 0]
