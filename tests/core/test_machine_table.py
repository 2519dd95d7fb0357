"""The machine obeys its table: every entry is played, and what comes out is what stands there."""

from __future__ import annotations

import pytest

from resumehub.core import commands as c
from resumehub.core import effects as e
from resumehub.core.deadlines import DeadlineKind
from resumehub.core.moving import DecisionState, TimeLeft
from resumehub.core.resume import Credentials, ResumeRequest
from resumehub.core.states import TRANSITIONS, Outcome, SessionEvent, State
from tests.core.machine_driver import WINDOW, MachineDriver, closes, ignored


def in_state(state: State, event: SessionEvent) -> MachineDriver:
    """A machine with u1 in ``state``: its session has had transport 1, and 2 if it is connected."""
    play = MachineDriver(
        resume_window=0.0 if event is SessionEvent.DROP_FINAL else WINDOW,
        max_sessions=1 if event is SessionEvent.GIVE_WAY else 10,
        refuse_duplicates=event in (SessionEvent.CONNECT_OR_REFUSE, SessionEvent.CLAIM_OR_REFUSE),
    )
    nonce = ResumeRequest(
        instance="mine" if event in (SessionEvent.CLAIM, SessionEvent.CLAIM_OR_REFUSE) else ""
    )
    play.register(resume_request=nonce)
    if event is not SessionEvent.DROP_FINAL:
        play.resume(resume_request=nonce)
        if state is State.SUSPENDED:
            play.do(c.PeerGone(2, reset=True))
    if state is State.CLOSED:
        play.do(c.Kick("u1"))
    assert play.state() == state.name
    play.effects.clear()
    return play


def happen(play: MachineDriver, event: SessionEvent) -> list[e.Effect]:
    """Let ``event`` happen to u1, by whatever command brings it about."""
    present = play.transports
    match event:
        case SessionEvent.CONNECT | SessionEvent.CONNECT_OR_REFUSE:
            return play.register()
        case SessionEvent.CLAIM | SessionEvent.CLAIM_OR_REFUSE:
            return play.register(resume_request=ResumeRequest(instance="another"))
        case SessionEvent.GAP:
            return play.do(c.GapFound("u1", "life 1", 2))
        case SessionEvent.RESUME:
            return play.register(resume=True, seen="life 1", seen_room="lobby")
        case SessionEvent.DROP | SessionEvent.DROP_FINAL:
            return play.do(c.PeerGone(present, reset=True))
        case SessionEvent.LEAVE:
            return play.do(c.PeerClosed(present, 1000, ""))
        case SessionEvent.LATE:
            return play.do(c.PeerClosed(1, 1000, ""), play_failure(1))
        case SessionEvent.EXPIRE:
            return play.wait(WINDOW)
        case SessionEvent.GIVE_WAY:
            # What happens to u1, without the beginning of u2.
            return [effect for effect in play.register("u2") if getattr(effect, "epoch", None) == 1]
        case SessionEvent.KICK:
            return play.do(c.Kick("u1"))
        case SessionEvent.CLOSE:
            return play.do(c.Close(1))
        case SessionEvent.REFUSE_ENTRY:
            return play.do(play_failure(1, "on_connect"))
        case SessionEvent.SHUTDOWN:
            return play.do(c.Shutdown())
        case SessionEvent.EXPORT:
            return play.do(c.Export("u1", "life 1"))
        case SessionEvent.ADOPT:
            return play.do(c.Adopt(1, present + 1, ARRIVAL))


ARRIVAL = DecisionState(
    life="life elsewhere",
    connection_id="u1",
    room_id="lobby",
    rooms=("lobby",),
    age=5.0,
    connected=True,
    credentials=Credentials(),
    generation=3,
    last_error=None,
    time_left=(TimeLeft(DeadlineKind.PING, 7.0),),
)


def play_failure(generation: int, hook: str = "on_message") -> c.HandlerFailed:
    return c.HandlerFailed(1, generation, hook, None)


def outcome_of(effects: list[e.Effect], play: MachineDriver) -> Outcome:
    """What was done, judged by the effects alone."""
    kinds = {type(effect) for effect in effects}
    codes = {code for _, code, _, _ in closes(effects)}
    alone = {
        e.NotFound: Outcome.NOT_FOUND,
        e.NotMoved: Outcome.NOT_MOVED,
        e.HandOver: Outcome.HANDED_OVER,
        e.TakeOver: Outcome.ADOPTED,
    }
    for kind in kinds & alone.keys():
        return alone[kind]
    if e.OpenSession in kinds:
        return Outcome.DISPLACED if e.EndSession in kinds else Outcome.OPENED
    if e.AttachTransport in kinds:
        return Outcome.TAKEN_OVER if e.DetachTransport in kinds else Outcome.RESUMED
    if e.EndSession in kinds:
        return Outcome.ENDED
    if e.DetachTransport in kinds:
        return Outcome.SUSPENDED
    if e.AdmitToRefuse in kinds:
        return {4409: Outcome.REFUSED, 4100: Outcome.TOO_LATE}[codes.pop()]
    return Outcome.IGNORED


REACHABLE = {
    (state, event): entry
    for (state, event), entry in TRANSITIONS.items()
    # Without a resume window nothing is ever suspended; and only suspended sessions make room.
    if (state, event)
    not in (
        (State.SUSPENDED, SessionEvent.DROP_FINAL),
        (State.CONNECTED, SessionEvent.GIVE_WAY),
        (State.CLOSED, SessionEvent.GIVE_WAY),
    )
}


@pytest.mark.parametrize(
    ("state", "event"), REACHABLE, ids=[f"{event.name} when {state.name}" for state, event in REACHABLE]
)
def test_the_machine_does_what_the_table_says(state: State, event: SessionEvent) -> None:
    play = in_state(state, event)

    effects = happen(play, event)

    entry = TRANSITIONS[state, event]
    assert outcome_of(effects, play) is entry.outcome
    assert play.state() == entry.to.name
    if entry.outcome is not Outcome.IGNORED:
        assert ignored(effects) == [], "it says that nothing was done, and something was"
