"""Calls and answers as bytes: each comes back as it was, and what is no call is refused by name."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from resumehub.cluster.calls import call_bodies as m
from resumehub.cluster.calls.call_messages import Answer, Call
from resumehub.server import looks
from resumehub.session import recent
from resumehub.session.plain_values import PlainValueError
from resumehub.session.recorder import RefusedUpgrade, Who
from resumehub.stats import Stats

WHO = Who("f" * 32, "a…", True, "lobby", None, False, False)
ROW = looks.SessionRow(WHO, 7, 1, True, 2, 3, 256, 9, 1 << 20, 0, 1.5)
TEXT = m.FrameValue(True, '{"event":"said","payload":"é"}'.encode())
BINARY = m.FrameValue(False, bytes(range(256)))

ASKED = [
    m.SendCall("ada", "", TEXT),
    m.SendCall("ada", "f" * 32, BINARY),
    m.SendCall("é\ud800", "", m.FrameValue(True, b"")),
    m.BroadcastCall(("lobby",), TEXT),
    m.BroadcastCall(("lobby", "news"), BINARY, ("ada", "ben")),
    m.BroadcastCall((), TEXT),
    m.BroadcastCall(("lobby", "news"), TEXT, (), (5, 0), TEXT),
    m.BroadcastCall(tuple(f"room {number}" for number in range(70_000)), TEXT),
    m.SendToUserCall("ada", TEXT),
    m.KickCall("ada"),
    m.KickCall("\ud800"),
    m.KickUserCall("ada"),
    m.EndAllCall(),
    m.SetDrainCall("newcomers"),
    m.CutCall("ada"),
    m.CloseCall("ada", "f" * 32),
    m.JoinCall("ada", "f" * 32, "news"),
    m.LeaveCall("ada", "f" * 32, "news"),
    m.RequestCall("ada", "f" * 32, "7.1", "sum", TEXT, 2.5),
    m.RequestCall("ada", "f" * 32, "7.1", "sum", TEXT, None),
    m.AnswerCall("ada", "f" * 32, "7", TEXT, 1000, True),
    m.SettleCall("a" * 32, 7, m.Raised("RequestFailed", ["no", "not now", ""])),
    m.WaitClosedCall("ada", "f" * 32, 1.5),
    m.UndeliveredCall("ada", "f" * 32),
    m.LookCall("ada"),
    m.LookAtRoomCall("lobby"),
    m.LookAtUserCall("ada"),
    m.IdsCall("lobby", 1000),
    m.CountCall("lobby"),
    m.RoomsCall(),
    m.StatsCall(),
    m.InspectCall(looks.SessionsAsked(7, "mark", None, "ada", "suspended", "u", 50)),
    m.InspectCall(looks.NamesAsked(users=True)),
    m.InspectCall(looks.LifeAsked("f" * 32)),
    m.InspectCall(looks.EndedAsked()),
    m.InspectCall(looks.EndAsked("f" * 32, expire=True)),
]

RESULTS = [
    m.Done(),
    m.Raised("SendBufferFull", ["ada", 256, 1000]),
    m.Counted(7),
    m.Whether(True),
    m.Named(("lobby", "news")),
    m.Looked((m.ConnectionLook("ada", "f" * 32, "lobby", ("lobby",), None, True, False, False),)),
    m.Frames((TEXT, BINARY)),
    m.StatsNow(Stats()),
    m.Inspected(looks.SessionsSeen((ROW,), 7, "mark", 500, 10_000)),
    m.Inspected(looks.NamesSeen((looks.NameRow("lobby", 7),), 0, 1, 1)),
    m.Inspected(
        looks.LifeSeen(
            WHO,
            ROW,
            ("lobby",),
            looks.Book(3, 1, 1, 0, 1, 9),
            recent.Counts(1, 2, 3),
            (0, 1),
            (recent.Happened(1.5, recent.What.LOST, "1006"),),
            0,
            True,
            2.5,
            30.0,
        )
    ),
    m.Inspected(
        looks.EndedSeen(
            (looks.EndedRow(WHO, recent.Happened(1.5, recent.What.ENDED, "kick")),),
            (RefusedUpgrade(1.0, 410, "gone"),),
            True,
            2.5,
        )
    ),
    m.Inspected(looks.NotSeen()),
    m.Inspected(looks.EndSaid(True, False)),
    m.MarkWanted(),
]


def name_of(value: Any) -> str:
    return type(value).__name__


@pytest.mark.parametrize("taken", [(), (1,), (3, 2**63, 5)], ids=["none taken", "one", "three"])
@pytest.mark.parametrize("asked", ASKED, ids=name_of)
def test_a_call_comes_back_as_it_was(asked: Any, taken: tuple[int, ...]) -> None:
    call = Call(2**40, taken, asked)
    assert Call.from_bytes(call.to_bytes()) == call


@pytest.mark.parametrize("result", RESULTS, ids=name_of)
def test_an_answer_comes_back_as_it_was(result: Any) -> None:
    answer = Answer(2**40, result)
    assert Answer.from_bytes(answer.to_bytes()) == answer


def test_every_kind_is_tried() -> None:
    assert {type(one) for one in ASKED} == set(get_args(m.Asked))
    assert {type(one) for one in RESULTS} == set(get_args(m.Result))


@pytest.mark.parametrize(
    "fields",
    [b"", b"[]", b"[7]", b'["a","b"]', b'{"a":1}', b"[[]]", b"[" * 100_000, b'["a"', b"\xff"],
    ids=repr,
)
def test_a_short_form_with_other_fields_is_refused(fields: bytes) -> None:
    whole = Call(1, (), m.KickCall("ada")).to_bytes()
    assert whole.endswith(b'["ada"]')
    with pytest.raises(PlainValueError):
        Call.from_bytes(whole.removesuffix(b'["ada"]') + fields)


@pytest.mark.parametrize("asked", [one for one in ASKED if len(Call(1, (), one).to_bytes()) < 1000])
def test_a_call_that_is_cut_is_refused_or_is_a_shorter_frame(asked: Any) -> None:
    """A payload has no length of its own: the link's message has one."""
    whole = Call(1, (2, 3), asked).to_bytes()
    for size in range(len(whole)):
        try:
            found = Call.from_bytes(whole[:size])
        except PlainValueError:
            continue
        assert isinstance(found.asked, m.SendCall | m.BroadcastCall)
        assert whole.startswith(found.to_bytes())


@pytest.mark.parametrize(
    "data", [b"", b"\x07" + bytes(30), b"\x01", b"\x01" + b"\xff" * 200, b"\x02" + bytes(8) + b"\xff" * 99]
)
def test_what_is_no_call_and_no_answer_is_refused(data: bytes) -> None:
    for kind in (Call, Answer):
        with pytest.raises(PlainValueError):
            kind.from_bytes(data)


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_number_that_has_no_place_in_the_bytes_is_refused(number: int) -> None:
    """As everything else that can't be encoded: a link's ``send`` promises a ValueError for it."""
    for message in (
        Answer(number, m.Done()),
        Answer(number, m.Counted(7)),
        *(Call(number, (), asked) for asked in (ASKED[0], ASKED[3], m.KickCall("ada"))),
        *(Call(1, (2, number), asked) for asked in (ASKED[0], ASKED[3], m.KickCall("ada"))),
    ):
        with pytest.raises(PlainValueError, match="number"):
            message.to_bytes()
