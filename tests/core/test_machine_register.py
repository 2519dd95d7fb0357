"""A registration arrives: everything that can become of it, and in which order the hub is told to do it."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.records import Phase
from resumehub.core.resume import Credentials
from resumehub.reasons import DropReason
from tests.core.machine_driver import (
    MachineDriver,
    aborted,
    callbacks,
    closes,
    counted,
    errors,
    ignored,
    names,
    suspended,
)


def test_a_new_client_opens_a_session():
    """The handle exists before the callback, and the callback is queued before a message can be read."""
    play = MachineDriver()
    effects = play.register("u1", "lobby")
    assert names(effects) == ["OpenSession", "Notify", "AttachTransport"]
    assert effects[0] == e.OpenSession(
        epoch=1, connection_id="u1", room_id="lobby", transport=1, credentials=Credentials(), life="life 1"
    )
    assert effects[-1] == e.AttachTransport(transport=1, epoch=1, generation=1, credentials=Credentials())
    assert callbacks(effects) == ["on_connect"]
    assert counted(effects) == [("room_created", "lobby"), ("connection_opened", "lobby", "u1")]


def test_the_second_member_does_not_create_the_room():
    play = MachineDriver()
    play.register("u1")
    assert counted(play.register("u2")) == [("connection_opened", "lobby", "u2")]


@pytest.mark.parametrize("resume", [True, False], ids=["with resume intent", "without resume intent"])
def test_a_suspended_session_goes_on_with_whoever_brings_its_id(resume):
    """Its user is plainly back, whether the client says so or not; the room it brings is ignored."""
    play = suspended()
    intent = play.seen() if resume else {}
    effects = play.register("u1", "elsewhere", **intent)
    assert names(effects) == ["Notify", "AttachTransport"]
    assert callbacks(effects) == ["on_transport_restore"]
    assert effects[-1] == e.AttachTransport(transport=2, epoch=1, generation=2, credentials=Credentials())
    assert counted(effects) == [("resume_attempt", "lobby", "u1", True)]
    assert play.session().room_id == "lobby"


def test_a_resume_stops_the_grace_window():
    play = suspended()
    assert play.due(DeadlineKind.GRACE) == 30.0
    play.resume()
    assert play.due(DeadlineKind.GRACE) is None
    play.wait(100)
    assert play.state() == "CONNECTED"


def test_a_takeover_closes_the_old_transport_and_tells_the_handlers():
    """The old one is taken off before the new one is put on; drop and restore are both fired."""
    play = MachineDriver()
    play.register()
    effects = play.resume()
    assert names(effects) == ["DetachTransport", "SendClose", "Notify", "Notify", "AttachTransport"]
    assert closes(effects) == [(1, 4101, "superseded", False)]
    assert callbacks(effects) == ["on_transport_drop", "on_transport_restore"]
    assert errors(effects) == ["NoneType", "NoneType"]
    assert counted(effects) == [
        ("transport_superseded", "lobby", "u1"),
        ("resume_attempt", "lobby", "u1", True),
    ]


def test_callbacks_carry_the_generation_they_are_about():
    """A handler that raises is reported with it, so that the next transport is not blamed."""
    play = MachineDriver()
    play.register()
    effects = play.resume()
    assert [(n.hook, n.generation) for n in effects if isinstance(n, e.Notify)] == [
        ("on_transport_drop", 1),
        ("on_transport_restore", 2),
    ]


def test_a_newcomer_without_intent_displaces_a_connected_session():
    """The old session ends before the new one begins: its id, its room and its callbacks come first."""
    play = MachineDriver()
    play.register("u1", "old room")
    effects = play.register("u1", "new room")
    assert names(effects) == ["EndSession", "SendClose", "Notify", "OpenSession", "Notify", "AttachTransport"]
    assert closes(effects) == [(1, 1000, "duplicate connection id", True)]
    assert callbacks(effects) == ["on_disconnect", "on_connect"]
    assert errors(effects) == ["DuplicateConnectionId", "NoneType"]
    assert play.session().epoch == 2
    assert [count[0] for count in counted(effects)] == [
        "connection_closed",
        "room_destroyed",
        "room_created",
        "connection_opened",
    ]


def test_where_duplicates_are_refused_the_connected_session_stays():
    play = MachineDriver(refuse_duplicates=True)
    play.register()
    effects = play.register()
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 4409, "connection id in use", False)]
    assert play.session().transport == 1


def test_where_duplicates_are_refused_a_suspended_session_is_still_resumed():
    play = suspended(refuse_duplicates=True)
    assert callbacks(play.register()) == ["on_transport_restore"]


def test_a_resume_of_a_session_that_is_gone_gets_4100_and_opens_nothing():
    """The race of the upgrade: it expired after the check and before the hub got to it."""
    play = suspended()
    intent = play.seen()
    play.wait(30)
    effects = play.register("u1", "elsewhere", **intent)
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 4100, "session expired", False)]
    assert counted(effects) == [
        ("resume_attempt", "lobby", "u1", False),
        ("upgrade_refused", 410, "gone"),
    ]
    assert play.session() is None


@pytest.mark.parametrize("refuse", [True, False], ids=["duplicates are refused", "duplicates replace"])
def test_a_generated_id_that_comes_back_is_refused(refuse):
    """Whatever on_duplicate says: it is the hub's own, and no client's."""
    play = MachineDriver(refuse_duplicates=refuse)
    play.register(generated=True)
    effects = play.register()
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 4409, "connection id in use", False)]
    assert play.session().transport == 1


def test_a_generated_id_that_comes_back_with_intent_opens_nothing():
    """Though the check before the upgrade has let it through."""
    play = MachineDriver()
    play.register(generated=True)
    effects = play.resume()
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 4100, "session expired", False)]
    assert counted(effects) == [
        ("resume_attempt", "lobby", "u1", False),
        ("upgrade_refused", 410, "gone"),
    ]
    assert play.session().transport == 1


def test_a_session_to_which_no_client_can_come_back_ends_at_its_drop():
    """And its id is a string like any other."""
    play = MachineDriver()
    play.register(generated=True)
    effects = play.do(c.PeerGone(1, reset=False))
    assert callbacks(effects) == ["on_disconnect"]
    assert errors(effects) == ["TransportLost"]
    assert play.state() == "CLOSED"
    assert callbacks(play.register()) == ["on_connect"]


@pytest.mark.parametrize("holder", ["connected", "suspended"])
def test_a_resume_never_ends_up_in_somebody_elses_session(holder):
    """The id has a new holder by now: 4100 all the same, and the holder does not notice."""
    play = suspended()
    intent = play.seen()
    play.do(c.Kick("u1"))
    play.register()
    if holder == "suspended":
        play.do(c.PeerGone(2, reset=True))
    effects = play.register(**intent)
    assert closes(effects) == [(3, 4100, "session expired", False)]
    assert callbacks(effects) == []
    assert (play.session().epoch, play.state()) == (2, holder.upper())


def test_a_session_beyond_the_limit_is_refused_with_4503():
    play = MachineDriver(max_sessions=1)
    play.register("u1")
    effects = play.register("u2")
    assert closes(effects) == [(2, 4503, "try again later (in 5 seconds)", False)]
    assert counted(effects) == [("upgrade_refused", 503, "max_sessions")]
    assert play.session("u2") is None


class TestAFullHub:
    """Three sessions may be; u1 and u2 are suspended, in that order, and u3 is connected."""

    def full(self, **rules: object) -> MachineDriver:
        play = MachineDriver(max_sessions=3, **rules)
        for number, name in enumerate(("u1", "u2", "u3"), 1):
            play.register(name)
            if name != "u3":
                play.wait(1)
                play.do(c.PeerGone(number, reset=True), c.Released(number))
        play.effects.clear()
        return play

    def test_lets_the_longest_suspended_session_make_room(self):
        """Before the newcomer's begins, and with all that an expiry brings."""
        play = self.full()
        effects = play.register("u4")
        assert names(effects) == [
            "WarnFull",
            "EndSession",
            "Notify",
            "OpenSession",
            "Notify",
            "AttachTransport",
        ]
        assert effects[1] == e.EndSession(1, flush=False, drop_reason=DropReason.EXPIRED)
        assert callbacks(effects) == ["on_disconnect", "on_connect"]
        assert errors(effects) == ["TransportLost", "NoneType"]
        assert counted(effects, "connection_closed") == [
            ("connection_closed", "lobby", "u1", 2.0, "grace_expired")
        ]
        assert [play.state(name) for name in ("u1", "u2", "u3", "u4")] == [
            "CLOSED",
            "SUSPENDED",
            "CONNECTED",
            "CONNECTED",
        ]

    def test_refuses_when_all_its_sessions_are_connected(self):
        play = self.full()
        play.register("u4")
        play.register("u5")
        assert closes(play.register("u6")) == [(6, 4503, "try again later (in 5 seconds)", False)]

    def test_refuses_if_it_is_to(self):
        play = self.full(suspended_give_way=False)
        assert closes(play.register("u4")) == [(4, 4503, "try again later (in 5 seconds)", False)]
        assert play.state("u1") == "SUSPENDED"

    def test_counts_from_the_last_drop(self):
        """u1 was here once more: u2 has been away for longer now."""
        play = self.full()
        play.resume("u1")
        play.do(c.PeerGone(4, reset=True))
        play.register("u5")
        assert (play.state("u1"), play.state("u2")) == ("SUSPENDED", "CLOSED")

    @pytest.mark.parametrize("end", ["kick", "expire"])
    def test_asks_no_session_that_has_ended(self, end):
        play = self.full()
        play.do(c.Kick("u1")) if end == "kick" else play.wait(29)
        play.register("u4")
        assert play.state("u2") == "SUSPENDED", "there was room"
        play.register("u5")
        assert (play.state("u2"), play.state("u5")) == ("CLOSED", "CONNECTED")

    def test_ends_no_session_for_one_who_has_hung_up(self):
        play = self.full()
        effects = play.register("u4", peer_already_gone=True)
        assert aborted(effects) == [4]
        assert callbacks(effects) == []

    def test_ends_no_session_for_a_client_that_it_refuses(self):
        play = self.full()
        for refused in ({"refusal": (4403, "forbidden")}, {"resume": True, "seen": "life 9"}):
            assert callbacks(play.register("u4", **refused)) == []

    def test_takes_back_its_own(self):
        """Whoever comes first has it: the client of u1, or the newcomer."""
        play = self.full()
        seen = play.seen("u1")
        play.register("u4")
        assert closes(play.register("u1", **seen)) == [(5, 4100, "session expired", False)]
        play = self.full()
        play.resume("u1")
        play.register("u4")
        assert (play.state("u1"), play.state("u2"), play.state("u4")) == ("CONNECTED", "CLOSED", "CONNECTED")

    def test_asks_sessions_of_other_processes_in_the_same_order(self):
        """What has come with five seconds left makes room before those that have more."""
        play = self.full()
        other = MachineDriver()
        other.register("u9")
        other.do(c.PeerGone(1, reset=True))
        other.wait(25)
        [hand_over] = [x for x in other.do(c.Export("u9", "life 1")) if isinstance(x, e.HandOver)]
        play.do(c.Kick("u3"), c.Adopt(1, None, hand_over.decisions))
        play.register("u4")
        assert (play.state("u9"), play.state("u1")) == ("CLOSED", "SUSPENDED")


@pytest.mark.parametrize("how", ["resume", "register"], ids=["a resume", "a duplicate"])
def test_a_full_hub_still_takes_those_who_add_no_session(how):
    play = MachineDriver(max_sessions=1)
    play.register("u1")
    getattr(play, how)("u1")
    assert play.session("u1").transport == 2


def test_a_verdict_that_was_reached_before_is_only_delivered():
    """reject=close: the socket exists to be told why, whatever the hub holds."""
    play = MachineDriver()
    play.register("u1")
    effects = play.register("u1", refusal=(4403, "forbidden"))
    assert names(effects) == ["AdmitToRefuse", "SendClose"]
    assert closes(effects) == [(2, 4403, "forbidden", False)]
    assert counted(effects) == []  # the check has done so
    assert play.session("u1").transport == 1


@pytest.mark.parametrize(
    "arrange",
    [lambda: MachineDriver(), lambda: suspended(), lambda: connected()],
    ids=["a new session", "a resume", "a takeover"],
)
def test_a_newcomer_that_has_hung_up_changes_nothing(arrange):
    """A transport whose peer has already gone takes nothing over, and its socket is given back."""
    play = arrange()
    state, session = play.state(), play.session()
    intent = play.seen() if session is not None else {}
    before = None if session is None else (session.transport, session.generation)
    effects = play.register("u1", peer_already_gone=True, **intent)
    assert names(effects) == ["AbortTransport"]
    assert aborted(effects) == [play.transports]
    assert ignored(effects) == ["the newcomer has hung up already"]
    assert counted(effects) == []
    session = play.session()
    assert play.state() == state
    assert before == (None if session is None else (session.transport, session.generation))


def connected() -> MachineDriver:
    play = MachineDriver()
    play.register()
    return play


def test_a_refused_transport_has_no_heartbeat_but_a_deadline():
    """It is there for a close frame, and not for long."""
    play = MachineDriver(ping_interval=20.0, max_sessions=1)
    play.register("u1")
    play.register("u2")
    assert play.transport(2).phase is Phase.CLOSING
    assert play.due(DeadlineKind.PING, 2) is None
    assert play.due(DeadlineKind.CLOSE, 2) == 10.0


def test_a_transport_knocks_once():
    """The same number again would be a bug of ours, and says so."""
    play = MachineDriver()
    play.register()
    play.transports = 0
    with pytest.raises(AssertionError, match="a transport is registered once"):
        play.register("u2")


def test_epochs_are_never_used_again():
    play = MachineDriver()
    for _ in range(3):
        play.register()
        play.do(c.Kick("u1"))
    opened = [effect.epoch for effect in play.effects if isinstance(effect, e.OpenSession)]
    assert opened == [1, 2, 3]
