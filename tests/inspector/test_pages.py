"""What an operator sees of sessions, and what came of kick and expire."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from resumehub import Connection, Message
from resumehub.testing import UpgradeRefused
from tests.contract.peers import until
from tests.contract.v1_client import offer
from tests.inspector.operator_stage import BASE, Operator
from tests.support import text, with_users

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"


@pytest.fixture
def one(stage):
    made = stage(with_users, ping_interval=None, resume_window=30.0)
    made.operator = Operator(made.hub)
    return made


def test_the_overview_counts_sessions_and_says_what_became_of_messages(one) -> None:
    one.open("u1", query="&user=ada")
    gone = one.open("u2", room="attic")
    one.recorder.wait_for("connect", count=2)
    one.drop(gone, "u2")
    one.say("u2", "a", "b")
    with pytest.raises(UpgradeRefused):
        one.open("nobody", query="&resume=true")
    seen = one.operator.text()
    for said in ("connected 1", "suspended 1", "rooms 2", "users 1", "accepted 2", "held 2", "gone 1"):
        assert said in seen
    assert "They add up." in seen
    assert "Processes" not in seen


def test_sessions_are_found_by_room_user_state_and_id(one) -> None:
    one.open("u1", query="&user=ada")
    gone = one.open("u2", room="attic", query="&user=ben")
    one.recorder.wait_for("connect", count=2)
    one.drop(gone, "u2")
    found = {
        (): "2 sessions of 2 shown",
        (("room", "attic"),): "u2 suspended attic ben",
        (("user", "ada"),): "u1 connected lobby ada",
        (("state", "suspended"),): "u2 suspended",
        (("q", "u1"),): "u1 connected",
        (("q", "1"),): "u1 connected",
        (("q", "u1"), ("room", "attic")): "No session is like that. 0 sessions of 2 shown.",
        (("state", "nonsense"), ("after", "-1")): "2 sessions of 2 shown",
        (("after", "99999999999999999999"),): "2 sessions of 2 shown",
    }
    for query, said in found.items():
        seen = one.operator.text("/sessions", **dict(query))
        assert said in seen, query
        if "u2" in said:
            assert "u1" not in seen, query
    assert "attic 1" in one.operator.text("/rooms")
    assert "ben 1" in one.operator.text("/users", q="b")
    assert "ada" not in one.operator.text("/users", q="b")


def test_names_of_clients_stay_text_wherever_they_stand(one) -> None:
    """In lists, on the page of the session, in its life, among those that ended, and in a search."""
    name = quote(HOSTILE)
    ws = one.open(name, room=name, query=f"&user={name}")
    one.recorder.wait_for("connect")
    one.recorder.connections[0].join(HOSTILE + "2")
    life = one.operator.life(HOSTILE)
    paths = ["/sessions", "/rooms", "/users", f"/session/{life}"]
    pages = [one.operator.get(path) for path in paths]
    pages.append(one.operator.get("/sessions", q=HOSTILE, room=HOSTILE, user=HOSTILE, mark=HOSTILE))
    one.hub.kick(HOSTILE)
    pages += [one.operator.get("/ended"), one.operator.get(f"/session/{life}", done=HOSTILE, refresh=HOSTILE)]
    pages.append(one.operator.get(f"/session/{name}"))
    for page in pages:
        assert "<script" not in page.text
        assert "<img" not in page.text
    assert all(
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;&lt;img" in page.text for page in pages[:5]
    )
    ws.sock.close()


def test_no_page_shows_a_token_or_a_payload(one) -> None:
    ws = one.open("v1-session", subprotocols=offer(), query="&user=ada")
    hello = json.loads(ws.receive(20.0))["payload"]
    ws.send(text("$ack", {"received": 0}))
    ws.send(text("said-by-the-client", "payload-of-the-client"))
    one.recorder.wait_for("message")
    one.recorder.connections[0].data = {"data": "payload-of-the-application"}
    one.say("v1-session", "payload-of-the-server", event="event-of-the-server")
    life = one.operator.life("v1-session")
    seen = "".join(one.operator.get(path).text for path in ("/", "/sessions", "/rooms", f"/session/{life}"))
    assert "lossless (resumehub.v1)" in seen
    for secret in (hello["token"], hello["token"].partition(".")[0], "payload-of", "said-by", "event-of"):
        assert secret not in seen


def test_an_id_that_would_open_the_session_is_cut_off(one) -> None:
    """Plain, given by the application, without a user: whoever has the id could resume (contract A4b)."""
    one.open("a-long-and-secret-id")
    one.open("u1")
    one.open("not-secret-1", query="&user=ada")
    one.open("not-secret-2", query="&instance=nonce-1")
    one.open("")
    one.recorder.wait_for("connect", count=5)
    page = one.operator.get("/sessions").text
    assert "a-long" not in page
    assert "<bdi>a-…</bdi>" in page
    assert "not-secret-1" in page
    assert "not-secret-2" in page
    assert "An id that ends in … is cut off" in page
    life = one.operator.life("a-long-and-secret-id")
    assert "a-long" not in one.operator.get(f"/session/{life}").text


def test_an_id_that_is_cut_off_is_found_by_the_whole_of_it_alone(one) -> None:
    """Else it could be found out letter by letter."""
    one.open("a-long-and-secret-id")
    for part in ("a-long", "-secret-", "a-long-and-secret-i"):
        assert "No session is like that." in one.operator.text("/sessions", q=part)
    assert "1 session of 1 shown" in one.operator.text("/sessions", q="a-long-and-secret-id")


def test_a_session_that_is_kicked_ends_for_good_and_the_page_says_how(one) -> None:
    ws = one.open("u1")
    life = one.operator.life("u1")
    seen = one.operator.do(life, "kick")
    assert "ended It was kicked." in seen
    assert ws.receive_close(20.0) == (1000, "kicked")
    assert one.recorder.wait_for("disconnect") is None
    assert "… lobby ended: it was kicked" in one.operator.text("/ended")
    assert "End it" not in one.operator.text(f"/session/{life}")


def test_a_window_that_an_operator_ends_is_over_for_its_client(one) -> None:
    ws = one.open("u1")
    one.recorder.wait_for("connect")
    one.drop(ws)
    life = one.operator.life("u1")
    assert "its window ends in 30 s" in one.operator.session("u1")
    assert "Its grace window was ended." in one.operator.do(life, "expire")
    with pytest.raises(UpgradeRefused) as refused:
        one.resume(ws)
    assert refused.value.status == 410


def test_the_window_of_a_client_that_is_back_is_not_ended(one) -> None:
    """The operator's page is old."""
    ws = one.open("u1")
    one.recorder.wait_for("connect")
    one.drop(ws)
    life = one.operator.life("u1")
    token = one.operator.token(life, "expire")
    one.resume(ws)
    answer = one.operator.post(life, "expire", token)
    assert answer.location.endswith("?done=connected")
    assert "its client is connected" in one.operator.text(f"/session/{life}", done="connected")
    assert one.hub.get("u1") is not None


def test_a_kick_of_an_old_page_ends_no_later_session_of_the_id(one) -> None:
    one.open("u1")
    one.recorder.wait_for("connect")
    life = one.operator.life("u1")
    token = one.operator.token(life, "kick")
    one.hub.kick("u1")
    one.open("u1")
    one.recorder.wait_for("connect", count=2)
    assert one.operator.post(life, "kick", token).location.endswith("?done=over")
    assert one.hub.get("u1") is not None


def test_the_life_of_a_session_is_told_in_its_order(one) -> None:
    """What it sent and got is counted, and a handler's error has a class and no text."""

    @one.hub.on_message
    def on_message(connection: Connection, message: Message) -> None:
        if message.event == "boom":
            raise ValueError("payload-in-the-error")

    ws = one.open("u1", query="&user=ada")
    one.recorder.wait_for("connect")
    for number in range(3):
        ws.send(text("n", number))
    one.recorder.wait_for("message", count=3)
    one.recorder.connections[0].join("attic")
    one.clock.advance(5.0)
    one.drop(ws)
    one.say("u1", "a", "b")
    one.clock.advance(7.0)
    ws = one.resume(ws)
    one.recorder.wait_for("restore")
    with pytest.raises(UpgradeRefused):
        one.open("u1", query="&user=ben&resume=true")
    ws.send(text("boom"))
    one.recorder.wait_for("drop", count=2)
    seen = one.operator.session("u1").partition("What happened")[2]
    told = [
        "connected",
        "joins room attic",
        "before it: 3 in",
        "connection lost (1006)",
        "came back after 7.0 s; 2 messages to send",
        "before it: 2 out",
        "a client that asked for this session was refused",
        "on_message raised ValueError",
        "connection lost (HandlerError in on_message)",
    ]
    places = [seen.index(text) for text in told]
    assert places == sorted(places), seen
    assert "payload-in-the-error" not in seen


def test_a_page_without_a_session_says_so(one) -> None:
    answer = one.operator.get("/session/0123")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "No session of this name is here." in answer.text
    assert one.operator.get("/nowhere").status_code == 404
    assert one.operator.browser.post(f"{BASE}/nowhere").status_code == 404
    assert one.operator.browser.head(f"{BASE}/sessions").text == ""


@pytest.mark.parametrize("query", ["q=\xff", "q=%ff", "room=%ed%a0%80&after=-1", "q=%00", "=&&=", "state="])
def test_a_query_that_makes_no_sense_is_no_error(one, query: str) -> None:
    one.open("u1")
    asked = {"QUERY_STRING": query}
    assert one.operator.browser.get(f"{BASE}/sessions", environ_overrides=asked).status_code == 200


def test_a_hub_that_is_closed_shows_nothing_and_does_nothing(one) -> None:
    ws = one.open("u1")
    life = one.operator.life("u1")
    token = one.operator.token(life, "kick")
    ws.sock.close()
    one.hub.close(20.0)
    assert "0 sessions of 0 shown" in one.operator.text("/sessions")
    answer = one.operator.post(life, "kick", token)
    assert (answer.status_code, "closed" in answer.text) == (503, True)


def test_a_page_is_loaded_again_only_if_its_address_says_so(one) -> None:
    assert 'http-equiv="refresh"' not in one.operator.get("/sessions").text
    page = one.operator.get("/sessions", refresh="5", room="attic").text
    assert '<meta http-equiv="refresh" content="5">' in page
    assert f'href="{BASE}/sessions?room=attic">Live' in page
    assert 'http-equiv="refresh"' not in one.operator.get("/sessions", refresh="0").text


def test_refused_upgrades_are_listed_without_what_was_asked(one) -> None:
    for _ in range(2):
        with pytest.raises(UpgradeRefused):
            one.open("nobody-at-all", query="&resume=true")
    until(lambda: one.hub.stats().refused == {"gone": 2})
    seen = one.operator.text("/ended")
    assert seen.count("410 gone") == 2
    assert "nobody" not in seen
