"""D3: the token of a v1 session: who may come back, how many hellos may be lost, and where it never shows."""

from __future__ import annotations

import io
import logging
import re
from functools import partial

import pytest

from resumehub import Message
from resumehub.core.resume import Credentials, Tokens
from resumehub.testing import UpgradeRefused
from resumehub.trace import Trace
from tests.contract.peers import heard_all
from tests.contract.v1_client import V1, Speaker, again, closing, dial, offer, preflight, refused
from tests.support import Stage


def lost(s: Stage, token: str, query: str = "") -> None:
    """A dial whose $hello nobody reads: the connection breaks at once."""
    before = s.recorder.hooks().count("drop")
    s.drop(again(s, token=token, received=0, query=query), count=before + 1)


@pytest.mark.contract("D3", "A.403-token")
@pytest.mark.parametrize(
    "token",
    [None, "", "x", "." * 40, "a" * 5000, "AAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"],
    ids=["missing", "empty", "short", "dots", "long", "made up"],
)
@pytest.mark.parametrize("state", ["connected", "suspended"])
def test_without_the_token_nobody_gets_in(stage, state, token) -> None:
    """403, and the session is not touched: its client comes back to all of it."""
    s = stage()
    peer = dial(s)
    s.say("u1", "a")
    if state == "suspended":
        peer.drop()
    before = s.recorder.hooks()

    assert refused(lambda: again(s, token=token, received=0)) == 403
    assert refused(lambda: again(s, token=token, received=99)) == 403, "who has no right learns no number"

    assert s.recorder.hooks() == before
    assert peer.resume().take(1) == ["a"]


@pytest.mark.contract("D3")
def test_a_token_that_is_no_text_of_a_header_opens_nothing(stage) -> None:
    """The handshake itself is not valid then; what matters is that nothing breaks."""
    s = stage()
    peer = dial(s)
    assert refused(lambda: again(s, token="ü" * 20, received=0)) == 400
    assert peer.nothing_came()


@pytest.mark.contract("D3", "A.403-token")
def test_a_token_of_another_session_opens_nothing(stage) -> None:
    s = stage()
    dial(s)
    other = dial(s, "u2")
    assert refused(lambda: again(s, token=other.token, received=0)) == 403


@pytest.mark.contract("D3", "A.403-token")
def test_half_of_a_token_opens_nothing(stage) -> None:
    """The first part is the same for the whole life of a session: it finds the session and proves nothing."""
    s = stage()
    key, _, secret = dial(s).token.partition(".")
    halves = (key, f"{key}.", f".{secret}", f"{key}.{secret[:-1]}", f"{key}.{secret}x", f"{secret}.{key}")
    assert [refused(partial(again, s, token=token, received=0)) for token in halves] == [403] * 6


@pytest.mark.contract("D3", "A.403-token")
def test_two_tokens_at_once_open_nothing(stage) -> None:
    """One that guesses might send many."""
    s = stage()
    peer = dial(s)
    both = [f"resumehub.token.{peer.token}", "resumehub.token.guess"]
    for tokens in (both, both[::-1]):
        dial_with_both = partial(s.open, query="&resume=true&received=0", subprotocols=[V1, *tokens])
        assert refused(dial_with_both) == 403


@pytest.mark.contract("D3", "A.403-token", "A1")
def test_the_answer_is_a_problem_that_tells_nothing(stage) -> None:
    s = stage()
    peer = dial(s)
    with pytest.raises(UpgradeRefused) as refusal:
        again(s, token="wrong", received=0)
    body = refusal.value.body.decode()
    assert refusal.value.header("Content-Type") == "application/problem+json"
    assert refusal.value.header("Cache-Control") == "no-store"
    assert "wrong" not in body
    assert peer.token not in body


@pytest.mark.contract("D3", "A.403-token", "A2")
def test_a_page_sees_4403(stage) -> None:
    s = stage()
    dial(s)
    page = again(s, token="wrong", received=0, query="&reject=close")
    s.clock.advance(1)
    assert page.receive_close() == (4403, "forbidden")


@pytest.mark.contract("D3")
@pytest.mark.parametrize("query", ["", "&received=", "&received=x", "&received=-1"])
def test_a_resume_must_say_how_far_it_got(stage, query) -> None:
    s = stage()
    peer = dial(s)
    assert refused(lambda: again(s, token=peer.token, query=query)) == 400
    assert not peer.ws.closed
    assert peer.nothing_came()


# -- which tokens open it ---------------------------------------------------------------------


@pytest.mark.contract("D3")
@pytest.mark.parametrize("times", [1, 2, 3])
def test_hello_can_be_lost_so_many_times_in_a_row(stage, times) -> None:
    """The last token that the client knows still works, though it never acknowledged anything."""
    s = stage()
    peer = dial(s)
    s.say("u1", "a")
    peer.drop()
    for _ in range(times):
        lost(s, peer.token)
    assert peer.resume().take(1) == ["a"]


@pytest.mark.contract("D3")
def test_the_newest_token_works_at_once(stage) -> None:
    s = stage()
    peer = dial(s)
    for _ in range(4):
        before, peer = peer.token, peer.resume()
        assert peer.token != before


@pytest.mark.contract("D3")
def test_presenting_a_token_retires_the_one_before(stage) -> None:
    """Who has a newer one needs the older no more; somebody who found that gets nowhere."""
    s = stage()
    first = dial(s)
    assert first.resume().hello["resumed"]
    second = first.resume()
    assert second.hello["resumed"], "the older is good until the newer is known to have arrived"

    second.resume()

    assert refused(lambda: again(s, token=first.token, received=0)) == 403


@pytest.mark.contract("D3")
def test_an_ack_retires_the_one_before(stage) -> None:
    s = stage()
    first = dial(s)
    second = first.resume()

    second.ack_for_sure()

    assert refused(lambda: again(s, token=first.token, received=0)) == 403
    assert second.resume().hello["resumed"]


@pytest.mark.contract("D3")
def test_a_token_whose_hello_was_lost_is_replaced_by_the_next(stage) -> None:
    """Of the tokens that the client never saw only the last one works, and the proven one."""
    s = stage()
    first = dial(s)
    unseen = Speaker(s, again(s, token=first.token, received=0))
    newest = Speaker(s, again(s, token=first.token, received=0))
    assert refused(lambda: again(s, token=unseen.token, received=0)) == 403
    assert newest.resume().hello["resumed"]
    assert refused(lambda: again(s, token=first.token, received=0)) == 403


@pytest.mark.contract("D3")
def test_a_token_that_is_used_twice_at_once_opens_twice(stage) -> None:
    """Two dials of one client, of which it gave one up: the last has the session, none is locked out."""
    s = stage()
    peer = dial(s)
    peer.drop()
    one = Speaker(s, again(s, token=peer.token, received=0))
    two = Speaker(s, again(s, token=peer.token, received=0))
    assert closing(one) == (4101, "superseded")
    s.say("u1", "a")
    assert two.read()[0] == "$replayed"
    assert two.take(1) == ["a"]


# -- which session it opens -------------------------------------------------------------------


@pytest.mark.contract("D3", "A4")
def test_a_token_finds_a_session_whose_id_was_made(stage) -> None:
    """With no id of the application's, the token alone is enough; over and over."""
    s = stage(lambda request: ("lobby", None))
    peer = dial(s)
    identity = peer.hello["connection_id"]
    s.hub.get(identity).send(Message("n", "a"))
    for _ in range(3):
        peer = peer.resume(received=0)
        assert peer.hello["connection_id"] == identity
        assert peer.take(1) == ["a"]
        peer.received = 0
    assert len(s.hub.connections("lobby")) == 1


@pytest.mark.contract("D3", "A4", "A.410")
@pytest.mark.parametrize("token", ["AAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "nonsense"])
def test_a_token_that_finds_nothing_is_gone(stage, token) -> None:
    s = stage(lambda request: ("lobby", None))
    dial(s)
    assert refused(lambda: again(s, token=token, received=0)) == 410


@pytest.mark.contract("D3", "A4", "A.403-token")
def test_the_first_half_finds_a_made_session_and_does_not_open_it(stage) -> None:
    s = stage(lambda request: ("lobby", None))
    key = dial(s).token.partition(".")[0]
    assert refused(lambda: again(s, token=f"{key}.{'B' * 32}", received=0)) == 403


@pytest.mark.contract("D3", "A.410")
@pytest.mark.parametrize("query", ["id=u1", "id="], ids=["by id", "by token"])
def test_a_restarted_server_knows_no_old_token(stage, query) -> None:
    """410: the client starts anew, and knows what is in doubt."""
    old, new = stage(), stage()
    peer = dial(old, "u1" if query == "id=u1" else "")
    assert refused(lambda: again(new, query.partition("=")[2], token=peer.token, received=0)) == 410


@pytest.mark.contract("D3", "A.403-token")
@pytest.mark.parametrize("how", ["a restart", "an expiry", "a kick"])
def test_an_old_token_does_not_open_the_next_session_of_its_id(stage, how) -> None:
    """Numbers of one session mean nothing in another one: 403, and the new one is not touched."""
    s = stage(resume_window=30)
    peer = dial(s)
    if how == "a restart":
        s = stage()
    elif how == "an expiry":
        peer.drop()
        s.clock.advance(30)
    else:
        s.hub.kick("u1")
    new = dial(s)

    assert refused(lambda: again(s, token=peer.token, received=0)) == 403
    assert new.nothing_came()


# -- where it never shows ---------------------------------------------------------------------


@pytest.mark.contract("D3")
def test_a_token_shows_in_no_log_trace_or_repr(stage, caplog) -> None:
    """Neither the ones that were given nor those that were tried; nor is it ever selected."""
    caplog.set_level(logging.DEBUG)
    trace = Trace()
    s = stage(trace=trace)
    first = dial(s)
    second = first.resume()
    second.ack_for_sure()
    tried = "A" * 16 + "." + "B" * 32
    refused(lambda: again(s, token=tried, received=0))
    page = again(s, token=tried, received=0, query="&reject=close")
    s.clock.advance(1)
    page.receive_close()
    lost(s, second.token)
    connection = s.hub.get("u1")
    credentials = connection._session.credentials

    written = io.StringIO()
    trace.write(written)
    shown = [
        caplog.text,
        written.getvalue(),
        repr(connection),
        repr(credentials),
        repr(credentials.tokens),
        repr(s.hub),
    ]
    shown += [repr(s.hub.stats()), str(second.ws.headers), repr(s.hub.runner.loop.machine.sessions)]
    assert "AttachTransport" in shown[1], "the trace has something to say"
    secrets = [first.token, second.token, tried, credentials.tokens.newest, credentials.tokens.proven]
    parts = [part for token in secrets for part in token.split(".")]
    assert [part for part in parts if any(part in text for text in shown)] == []
    selected = [value for name, value in second.ws.headers if name == "Sec-WebSocket-Protocol"]
    assert selected == [V1]


@pytest.mark.contract("D3")
def test_tokens_are_long_safe_in_a_header_and_never_the_same(stage) -> None:
    s = stage()
    peers = [dial(s, f"u{number}") for number in range(3)]
    peers += [peer.resume() for peer in peers]
    tokens = [peer.token for peer in peers]
    assert len(set(tokens)) == len(tokens)
    for token in tokens:
        assert re.fullmatch(r"[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{32}", token)


@pytest.mark.contract("D3")
def test_a_token_is_compared_in_constant_time() -> None:
    """By hmac.compare_digest on bytes, which raises at text that is not ASCII: whatever comes is compared."""
    tokens = Tokens("newest", "proven")
    assert [tokens.accept(one) for one in ("newest", "proven", "", "n", "newestx", "ä", "\x80")] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
    assert not Tokens("newest").accept(""), "what was never proven is no key"
    assert "newest" not in repr(Credentials(tokens))


@pytest.mark.contract("D3", "A3")
def test_the_preflight_tells_nothing_without_the_token(stage) -> None:
    """For strangers a v1 session and none look the same."""
    s = stage()
    peer = dial(s)
    peer.drop()
    resume = "&resume=true&received=0"
    assert preflight(s, resume) == 410
    assert preflight(s, resume, [V1]) == 410
    assert preflight(s, resume, offer("wrong")) == 410
    assert preflight(s, resume, [f"resumehub.token.{peer.token}"]) == 410, "it does not speak v1"
    assert preflight(s, resume, offer(peer.token)) == 204
    assert preflight(s, "&resume=true&received=7", offer(peer.token)) == 400
    assert preflight(s, "&resume=true&received=7", offer("wrong")) == 410
    assert peer.resume().hello["resumed"], "looking changes nothing"
    heard_all(s.clients[-1])
