"""Acknowledgements, tokens, late dials and gaps, as the machine decides about them."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.resume import Credentials, ResumeRequest, Tokens
from resumehub.protocol.control_messages import ACK_DELAY
from tests.core.machine_driver import MachineDriver, callbacks, closes, counted, errors, ignored, names


def resume_request(token: str = "", fresh: str = "", **more: object) -> ResumeRequest:
    return ResumeRequest(v1=True, token=token, fresh_token=fresh, received=0, **more)


def greeted(**rules: object) -> MachineDriver:
    """A connected v1 session that was given token "one"."""
    play = MachineDriver(**rules)
    play.register(resume_request=resume_request(fresh="one"))
    play.effects.clear()
    return play


def tokens(play: MachineDriver) -> Tokens | None:
    session = play.session()
    return session.credentials.tokens if session is not None else None


def acks(effects: list[e.Effect]) -> list[int]:
    return [effect.transport for effect in effects if isinstance(effect, e.SendAck)]


class TestAResume:
    def test_brings_its_count_to_the_outbox_and_gets_a_new_token(self):
        play = greeted()
        effects = play.resume(
            resume_request=ResumeRequest(v1=True, token="one", fresh_token="two", received=7)
        )
        credentials = Credentials(Tokens("two", "one"))
        assert effects[-1] == e.AttachTransport(2, 1, 2, credentials, received=7)
        assert play.session().credentials == credentials

    def test_of_an_opening_client_brings_no_count(self):
        play = MachineDriver()
        effects = play.register(resume_request=resume_request(fresh="one"))
        assert effects[-1] == e.AttachTransport(1, 1, 1, Credentials(Tokens("one")), received=None)

    def test_with_a_wrong_token_is_closed_4403_and_counted(self):
        play = greeted()
        effects = play.resume(resume_request=resume_request("wrong"))
        assert names(effects) == ["AdmitToRefuse", "SendClose"]
        assert closes(effects) == [(2, 4403, "forbidden", False)]
        assert counted(effects) == [
            ("resume_attempt", "lobby", "u1", False),
            ("upgrade_refused", 403, "token"),
        ]
        assert (play.session().transport, tokens(play)) == (1, Tokens("one"))

    def test_of_a_generated_id_needs_the_token(self):
        """Without one it is 4100, as if there were no such session; a wrong one is 4403."""
        play = MachineDriver()
        play.register(generated=True, resume_request=resume_request(fresh="one"))
        play.do(c.PeerGone(1, reset=True))
        assert play.state() == "SUSPENDED"
        for without in (ResumeRequest(), resume_request()):
            effects = play.resume(resume_request=without)
            assert closes(effects) == [(play.transports, 4100, "session expired", False)]
        effects = play.resume(resume_request=resume_request("wrong"))
        assert closes(effects) == [(play.transports, 4403, "forbidden", False)]
        effects = play.register(resume_request=resume_request("one", "two"))
        assert closes(effects) == [(play.transports, 4409, "connection id in use", False)]
        assert callbacks(play.resume(resume_request=resume_request("one", "two"))) == ["on_transport_restore"]

    def test_of_the_other_kind_is_closed_4100(self):
        play = MachineDriver()
        play.register()
        effects = play.resume(resume_request=resume_request("one"))
        assert closes(effects) == [(2, 4100, "session expired", False)]
        assert play.session().transport == 1

    def test_beyond_what_was_sent_is_closed_1008(self):
        play = greeted()
        effects = play.resume(resume_request=resume_request("one", beyond=True))
        assert [close[:2] for close in closes(effects)] == [(2, 1008)]
        assert (play.session().transport, counted(effects)) == (1, [("upgrade_refused", 400, "parameters")])

    def test_that_has_hung_up_is_not_even_judged(self):
        """A gap must not end the session for somebody who is not there any more."""
        play = greeted()
        for one in (
            resume_request("wrong"),
            resume_request("one", first_available=5),
            resume_request("one", beyond=True),
        ):
            assert names(play.resume(resume_request=one, peer_already_gone=True)) == ["AbortTransport"]
        assert play.session().transport == 1


class TestALateDial:
    @pytest.mark.parametrize("state", ["CONNECTED", "SUSPENDED"])
    @pytest.mark.parametrize("attempt", [1, 2])
    def test_is_superseded_and_the_session_lives(self, state, attempt):
        play = greeted()
        play.resume(resume_request=resume_request("one", "two", attempt=2))
        if state == "SUSPENDED":
            play.do(c.PeerGone(2, reset=True))
        grace = play.due(DeadlineKind.GRACE)
        effects = play.resume(resume_request=resume_request("one", "three", attempt=attempt))
        assert closes(effects) == [(3, 4101, "superseded", False)]
        assert (callbacks(effects), counted(effects)) == ([], [("upgrade_refused", 409, "late_dial")])
        assert (play.state(), play.due(DeadlineKind.GRACE)) == (state, grace)
        assert tokens(play) == Tokens("two", "one")

    def test_of_a_plain_client_too(self):
        play = MachineDriver()
        play.register(resume_request=ResumeRequest(attempt=3))
        assert closes(play.resume(resume_request=ResumeRequest(attempt=3)))[0][:2] == (2, 4101)
        assert closes(play.resume(resume_request=ResumeRequest(attempt=4)))[0][:2] == (1, 4101)


class TestTheFirstAcknowledgement:
    def test_proves_the_newest_token(self):
        play = greeted()
        effects = play.do(c.Acknowledged(1))
        assert effects == [e.UpdateCredentials(1, Credentials(Tokens("one", "one")))]
        play.resume(resume_request=resume_request("one", "two"))
        play.do(c.Acknowledged(2))
        assert tokens(play) == Tokens("two", "two")

    def test_of_an_older_transport_proves_nothing(self):
        """It may have been on its way when the next $hello was lost."""
        play = greeted()
        play.resume(resume_request=resume_request("one", "two"))
        assert ignored(play.do(c.Acknowledged(1))) != []
        assert tokens(play) == Tokens("two", "one")

    @pytest.mark.parametrize("end", [c.PeerGone(1, reset=True), c.Kick("u1")], ids=["lost", "kicked"])
    def test_that_comes_behind_the_end_proves_nothing(self, end):
        play = greeted()
        play.do(end)
        effects = play.do(c.Acknowledged(1))
        assert [type(effect) for effect in effects] == [e.Ignored]

    def test_of_a_plain_session_or_of_nobody_is_ignored(self):
        play = MachineDriver()
        play.register()
        assert len(ignored(play.do(c.Acknowledged(1), c.Acknowledged(9)))) == 2


class TestAnAcknowledgementOfOurs:
    def test_is_sent_a_second_after_it_is_owed(self):
        play = greeted()
        play.wait(5)
        play.do(c.AckDue(1))
        assert acks(play.wait(ACK_DELAY - 0.001)) == []
        assert acks(play.wait(0.001)) == [1]
        assert acks(play.wait(100)) == []

    def test_is_not_put_off_by_the_next_message(self):
        play = greeted()
        play.do(c.AckDue(1))
        play.wait(0.9)
        play.do(c.AckDue(1))
        assert play.due(DeadlineKind.ACK) == ACK_DELAY

    def test_can_be_owed_again(self):
        play = greeted()
        for _ in range(3):
            play.do(c.AckDue(1))
            assert acks(play.wait(1)) == [1]

    @pytest.mark.parametrize(
        "end",
        [
            c.PeerGone(1, reset=True),
            c.PeerClosed(1, 1000, ""),
            c.PeerFailed(1, 1008, ""),
            c.TransportAborted(1),
            c.Kick("u1"),
            c.Close(1),
            c.Shutdown(),
            c.AbortAll(),
        ],
        ids=lambda end: type(end).__name__,
    )
    @pytest.mark.parametrize("order", ["owed first", "owed behind"])
    def test_is_not_sent_on_a_transport_that_ends(self, end, order):
        play = greeted()
        commands = [c.AckDue(1), end]
        play.do(*(commands if order == "owed first" else reversed(commands)))
        assert play.due(DeadlineKind.ACK) is None
        assert acks(play.wait(60)) == []

    def test_goes_with_its_transport(self):
        """After a resume the $hello has said it all."""
        play = greeted()
        play.do(c.AckDue(1))
        play.resume(resume_request=resume_request("one", "two"))
        assert acks(play.wait(10)) == []
        assert ignored(play.do(c.AckDue(1))) != []


class TestAGap:
    @pytest.mark.parametrize("state", ["CONNECTED", "SUSPENDED"])
    def test_that_a_resume_finds_ends_the_session(self, state):
        """The newcomer hears where the unbroken row begins; the old transport, that it is over."""
        play = greeted()
        if state == "SUSPENDED":
            play.do(c.PeerGone(1, reset=True))
        effects = play.resume(resume_request=resume_request("one", first_available=42))
        assert closes(effects)[-1] == (2, 4100, '{"reason": "gap", "first_available": 42}', False)
        assert callbacks(effects) == ["on_disconnect"]
        assert counted(effects, "connection_closed")[0][-1] == "gap"
        assert counted(effects, "resume_attempt") == [("resume_attempt", "lobby", "u1", False)]
        assert counted(effects, "upgrade_refused") == [("upgrade_refused", 410, "gap")]
        assert play.session() is None
        if state == "CONNECTED":
            assert closes(effects)[0] == (1, 4101, "superseded", False)

    @pytest.mark.parametrize("state", ["CONNECTED", "SUSPENDED"])
    def test_that_the_check_found_ends_the_session(self, state):
        play = greeted()
        if state == "SUSPENDED":
            play.do(c.PeerGone(1, reset=True))
        effects = play.do(c.GapFound("u1", "life 1", 1))
        assert callbacks(effects) == ["on_disconnect"]
        assert errors(effects) == ["TransportLost"]
        assert play.session() is None

    def test_that_the_check_found_ends_no_session_that_has_been_resumed_since(self):
        play = greeted()
        play.resume(resume_request=resume_request("one", "two"))
        assert ignored(play.do(c.GapFound("u1", "life 1", 1))) != []
        assert play.state() == "CONNECTED"

    def test_that_the_check_found_ends_no_other_session(self):
        play = greeted()
        play.do(c.Kick("u1"))
        play.register(resume_request=resume_request(fresh="new"))
        assert ignored(play.do(c.GapFound("u1", "life 1", 1))) != []
        assert (play.state(), play.session().epoch) == ("CONNECTED", 2)
