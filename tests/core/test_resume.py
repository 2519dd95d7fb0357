"""Whether a client gets the session it asks for: all that it may say, of all that a session may know."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from resumehub.codes import CloseCode
from resumehub.core.resume import (
    NO_REQUEST,
    Credentials,
    ResumeRequest,
    Tokens,
    Verdict,
    attached,
    is_stale_dial,
    judge,
    judge_connect,
    opened,
    returns,
)
from resumehub.protocol.expiry import gap_reason

G, N, F, L, B, P = (
    Verdict.GRANTED,
    Verdict.NOT_YOURS,
    Verdict.FORBIDDEN,
    Verdict.LATE_DIAL,
    Verdict.BEYOND,
    Verdict.GAP,
)

SESSIONS = {
    "v1": Credentials(Tokens("newest", "proven"), attempt=5),
    "v1, nothing proven": Credentials(Tokens("newest"), attempt=5),
    "plain": Credentials(attempt=5),
    "plain with a nonce": Credentials(instance="mine", attempt=5),
    "v1, generated": Credentials(Tokens("newest", "proven"), attempt=5, generated=True),
    "plain, generated": Credentials(attempt=5, generated=True),
}

CLIENTS = {
    "plain": ResumeRequest(),
    "plain with the nonce": ResumeRequest(instance="mine"),
    "plain with another": ResumeRequest(instance="yours"),
    "plain with a token": ResumeRequest(token="newest"),
    "v1 without a token": ResumeRequest(v1=True),
    "v1 with the newest": ResumeRequest(v1=True, token="newest"),
    "v1 with the proven": ResumeRequest(v1=True, token="proven"),
    "v1 with a wrong one": ResumeRequest(v1=True, token="newes"),
    "v1 with the nonce": ResumeRequest(v1=True, instance="mine"),
}

RIGHT = [
    # v1, v1 with nothing proven, plain, plain with a nonce, v1 and plain with an id that the hub made
    ("plain", F, F, G, N, N, N),
    ("plain with the nonce", F, F, N, G, N, N),
    ("plain with another", F, F, N, N, N, N),
    ("plain with a token", F, F, G, N, F, N),
    ("v1 without a token", F, F, N, N, N, N),
    ("v1 with the newest", G, G, N, N, G, N),
    ("v1 with the proven", G, F, N, N, G, N),
    ("v1 with a wrong one", F, F, N, N, F, N),
    ("v1 with the nonce", F, F, N, N, N, N),
]
"""Whether the client may have the session at all."""

PROGRESS = {
    "nothing": ({}, G),
    "a count": ({"received": 3}, G),
    "a later dial": ({"attempt": 6}, G),
    "the same dial": ({"attempt": 5}, L),
    "an older dial": ({"attempt": 0}, L),
    "too much": ({"received": 9, "beyond": True}, B),
    "a gap": ({"received": 1, "first_available": 3}, P),
    "an older dial and too much": ({"attempt": 4, "received": 9, "beyond": True}, L),
    "an older dial and a gap": ({"attempt": 4, "received": 1, "first_available": 3}, L),
    "a later dial and a gap": ({"attempt": 6, "received": 1, "first_available": 3}, P),
}
"""What comes of the rest of a claim, if the client may have the session."""


def saying(resume_request: ResumeRequest, **more: object) -> ResumeRequest:
    """The same claim, with more in it."""
    return ResumeRequest(
        resume_request.v1, resume_request.token, resume_request.fresh_token, resume_request.instance, **more
    )


@pytest.mark.parametrize(
    ("client", "session", "expected"),
    [
        (client, session, verdict)
        for client, *verdicts in RIGHT
        for session, verdict in zip(SESSIONS, verdicts, strict=True)
    ],
)
def test_every_client_at_every_session(client, session, expected):
    """The secret is looked at first: who has no right to the session learns nothing of the rest."""
    for more, verdict in PROGRESS.values():
        wanted = verdict if expected is G else expected
        request = saying(CLIENTS[client], **more)
        assert judge(SESSIONS[session], request, room_is_right=True) is wanted, more


def test_the_table_is_whole():
    assert [client for client, *_ in RIGHT] == list(CLIENTS)


@pytest.mark.parametrize(("client", "session"), list(product(CLIENTS, SESSIONS)))
def test_who_gets_a_suspended_session_without_asking_for_it(client, session):
    """Plain clients with the same nonce, or none: a v1 session must be asked for, with its token."""
    same = [
        ("plain", "plain"),
        ("plain with a token", "plain"),
        ("plain with the nonce", "plain with a nonce"),
    ]
    assert returns(SESSIONS[session], CLIENTS[client]) == ((client, session) in same)


# -- whose session it is ----------------------------------------------------------------------


OF_ADA = {name: replace(credentials, user="ada") for name, credentials in SESSIONS.items()}
U = Verdict.NOT_THE_USERS

OTHERS = [
    # as RIGHT, in sessions of ada, for a client that is not ada: what shows that it has the id or the token
    ("plain", F, F, U, U, N, N),
    ("plain with the nonce", F, F, U, U, N, N),
    ("plain with another", F, F, U, U, N, N),
    ("plain with a token", F, F, U, U, F, N),
    ("v1 without a token", F, F, U, U, N, N),
    ("v1 with the newest", U, U, U, U, U, N),
    ("v1 with the proven", U, F, U, U, U, N),
    ("v1 with a wrong one", F, F, U, U, F, N),
    ("v1 with the nonce", F, F, U, U, N, N),
]


@pytest.mark.parametrize("user", ["bob", None, "ADA", "ada "])
@pytest.mark.parametrize(("client", "expected"), [(client, verdicts) for client, *verdicts in OTHERS])
def test_no_other_user_gets_a_session_and_none_learns_more_of_it(client, expected, user):
    """Neither how far it is nor which dials there were: the user is looked at before the rest."""
    for credentials, verdict in zip(OF_ADA.values(), expected, strict=True):
        for more, _ in PROGRESS.values():
            request = saying(CLIENTS[client], user=user, **more)
            assert judge(credentials, request, room_is_right=True) is verdict, more


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("session", SESSIONS)
def test_the_user_itself_is_asked_for_nothing_more_and_nothing_less(client, session):
    request = saying(CLIENTS[client], user="ada")
    anonymous = judge(SESSIONS[session], CLIENTS[client], room_is_right=True)
    assert judge(OF_ADA[session], request, room_is_right=True) is anonymous
    assert judge(SESSIONS[session], request, room_is_right=True) is anonymous, "a session of no user"
    assert returns(OF_ADA[session], request) == returns(SESSIONS[session], CLIENTS[client])


def test_a_token_is_for_the_rooms_of_its_session_and_an_id_for_all_urls():
    token, wrong, plain = CLIENTS["v1 with the newest"], CLIENTS["v1 with a wrong one"], CLIENTS["plain"]
    assert judge(SESSIONS["v1"], token, room_is_right=False) is U
    assert judge(SESSIONS["v1, generated"], token, room_is_right=False) is U
    assert judge(SESSIONS["v1"], wrong, room_is_right=False) is F
    assert judge(SESSIONS["plain"], plain, room_is_right=False) is G


@pytest.mark.parametrize("session", SESSIONS)
def test_without_intent_another_user_does_nothing_to_a_session(session):
    """An id that the hub made is refused to all alike, by the table; see ``Machine._asked_for``."""
    late = ResumeRequest(instance="mine", attempt=0)
    for request in (late, *CLIENTS.values()):
        others = judge_connect(OF_ADA[session], replace(request, user="bob"))
        own = judge_connect(OF_ADA[session], replace(request, user="ada"))
        assert own is (L if is_stale_dial(SESSIONS[session], request) else G)
        assert others is (own if SESSIONS[session].generated else U)


# -- what an attach leaves behind -------------------------------------------------------------


def test_a_new_session_is_of_the_kind_of_its_client():
    assert opened(NO_REQUEST) == Credentials()
    assert opened(NO_REQUEST, generated=True) == Credentials(generated=True)
    assert opened(ResumeRequest(user="ada")) == Credentials(user="ada")
    assert opened(ResumeRequest(instance="mine", attempt=3)) == Credentials(instance="mine", attempt=3)
    assert opened(ResumeRequest(v1=True, fresh_token="new", attempt=0)) == Credentials(
        Tokens("new"), attempt=0
    )


def test_a_nonce_opens_no_v1_session():
    """The token says more. The nonce only tells an earlier dial of the same client."""
    credentials = opened(ResumeRequest(v1=True, fresh_token="new", instance="mine", attempt=2))
    assert credentials == Credentials(Tokens("new"), instance="mine", attempt=2)
    assert not returns(credentials, ResumeRequest(v1=True, instance="mine"))
    request = ResumeRequest(v1=True, token="new", received=0)
    assert judge(credentials, request, room_is_right=True) is Verdict.GRANTED


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "plain"])
@pytest.mark.parametrize(
    ("late", "which"),
    [
        (True, {"instance": "mine", "attempt": 1}),
        (True, {"instance": "mine", "attempt": 2}),
        (False, {"instance": "mine", "attempt": 3}),
        (False, {"instance": "mine"}),
        (False, {"instance": "yours", "attempt": 1}),
        (False, {"attempt": 1}),
    ],
    ids=["an earlier dial", "the same again", "a later dial", "one without a number", "a stranger", "nobody"],
)
def test_a_dial_is_overtaken_by_a_later_one_of_the_same_client(v1, late, which):
    """Without resume intent, too: its first dial may arrive behind its second."""
    credentials = opened(ResumeRequest(v1=v1, fresh_token="new", instance="mine", attempt=2))
    assert is_stale_dial(credentials, ResumeRequest(v1=v1, **which)) is late
    assert not is_stale_dial(
        opened(ResumeRequest(v1=v1, fresh_token="new", attempt=2)), ResumeRequest(v1=v1, attempt=1)
    )


@pytest.mark.parametrize("presented", ["newest", "proven"])
def test_an_attach_gives_a_new_token_and_proves_the_one_presented(presented):
    credentials = attached(
        Credentials(Tokens("newest", "proven")), ResumeRequest(v1=True, token=presented, fresh_token="new")
    )
    assert credentials.tokens == Tokens("new", presented)


def test_an_attach_changes_no_user():
    """Also where a user comes to a session of no user: it stays one that its id opens."""
    for credentials in (Credentials(Tokens("a"), user="ada"), Credentials(attempt=2, user="ada")):
        request = ResumeRequest(token="a", fresh_token="b", attempt=7, user="ada")
        assert attached(credentials, request).user == "ada"
    assert attached(Credentials(attempt=2), ResumeRequest(attempt=7, user="ada")).user is None


def test_an_attach_without_a_token_changes_no_plain_session():
    assert attached(Credentials(instance="mine", attempt=2), ResumeRequest(instance="mine")) == Credentials(
        None, "mine", 2
    )


@pytest.mark.parametrize(("before", "dial", "after"), [(-1, 0, 0), (2, 7, 7), (7, None, 7), (-1, None, -1)])
def test_the_highest_dial_is_remembered(before, dial, after):
    assert attached(Credentials(attempt=before), ResumeRequest(attempt=dial)).attempt == after


# -- tokens -----------------------------------------------------------------------------------


def keys(tokens: Tokens, *names: str) -> list[str]:
    return [name for name in names if tokens.accept(name)]


def test_a_first_token_opens_before_anything_is_proven():
    assert keys(Tokens("one"), "one", "") == ["one"]


def test_however_many_hellos_are_lost_the_proven_token_opens():
    """And the newest, since the client may have got that one; those in between do not."""
    tokens = Tokens("one")
    for fresh in ("two", "three", "four"):
        tokens = tokens.presented("one").issue(fresh)
    assert keys(tokens, "one", "two", "three", "four") == ["one", "four"]


def test_an_acknowledgement_retires_all_but_the_newest():
    tokens = Tokens("one").presented("one").issue("two").acknowledged()
    assert keys(tokens, "one", "two") == ["two"]
    assert keys(tokens.issue("three"), "one", "two", "three") == ["two", "three"]


@pytest.mark.parametrize("presented", ["", "n", "newest ", "NEWEST", "né", "\0", "newest" * 1000])
def test_anything_can_be_presented(presented):
    """Whatever the client sends is compared, and nothing raises."""
    assert not Tokens("newest", "proven").accept(presented)


def test_secrets_have_no_part_in_what_is_printed():
    resume_request = ResumeRequest(v1=True, token="secret-a", fresh_token="secret-b", received=3, attempt=1)
    credentials = Credentials(Tokens("secret-c", "secret-d"), instance="secret-e")
    assert repr(resume_request) == "<ResumeRequest v1 received=3 attempt=1>"
    shown = [credentials, credentials.tokens, [resume_request, credentials]]
    assert "secret" not in "".join(f"{one!r}{one}" for one in shown)


def test_the_verdicts_name_their_close_codes():
    assert [verdict.value for verdict in (G, N, F, L, B)] == [
        1000,
        4100,
        4403,
        4101,
        CloseCode.POLICY_VIOLATION,
    ]
    assert gap_reason(42) == '{"reason": "gap", "first_available": 42}'
