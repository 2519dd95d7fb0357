"""How a hub moves from one process to another, as two total tables: the old process's and the new one's.

The old process (*source*) offers the move, sends ahead what rarely changes, releases its sessions, freezes,
and sends all else. The new one (*target*) builds the sessions, holds them inert and says so. Then the source
writes *commit*, and lets go of the hub's lock. The target goes on once it has both, the commit and the lock.
So there is no moment at which both run the hub, and one at which neither does only if one of them dies:

* until commit is written, whatever fails is a thaw: the source goes on, the target drops what it holds;
* once it is written, the source never goes on. If it dies before it lets go, the kernel does;
* the lock free and the link read to its end without a commit: the source has died. The target drops all, and
  the sessions are lost with the source, as with any hub that is killed;
* a commit of which the source can't know whether it was written counts as written: sessions that end are
  better than sessions that are twice.

``cluster/moves/`` looks up each step here. Pure. Read next: tests/core/test_hub_move.py, which tries all
orders, with each process killed at each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class SourceStage(Enum):
    """How far the old process is."""

    OFFERED = "the target was asked"
    AHEAD = "what rarely changes goes ahead, everything else goes on"
    RELEASING = "callbacks end, everything else goes on"
    SENDING = "everything is frozen, and is sent"
    COMMITTING = "the target holds everything"
    GONE = "commit is written: the hub is elsewhere"
    STAYED = "the hub has stayed"


class SourceEvent(Enum):
    """What can happen to it."""

    ACCEPTED = "the target has room for all"
    REFUSED = "the target can't, or has dropped what it held"
    BUILT = "the target has built what went ahead, or the time for it is over"
    RELEASED = "all sessions are released, or the time for it is over"
    HELD = "the target holds everything"
    WRITTEN = "commit is written whole"
    FAILED = "the link has ended, the time is over, or something is broken here"


class SourceAction(Enum):
    """What it does then."""

    SEND_AHEAD = "send what rarely changes"
    RELEASE = "run on_stop and each on_release"
    FREEZE_AND_SEND = "freeze, and send everything"
    WRITE_COMMIT = "write commit"
    DEPART = "let go of the lock, and forget the sessions"
    THAW = "let everything go on here"
    IGNORE = "nothing"


@dataclass(frozen=True, slots=True)
class SourceStep:
    """An entry of the table."""

    action: SourceAction
    to: SourceStage


_S, _E, _A = SourceStage, SourceEvent, SourceAction
_STAY = SourceStep(_A.THAW, _S.STAYED)

SOURCE: dict[tuple[SourceStage, SourceEvent], SourceStep] = {
    (_S.OFFERED, _E.ACCEPTED): SourceStep(_A.SEND_AHEAD, _S.AHEAD),
    (_S.AHEAD, _E.BUILT): SourceStep(_A.RELEASE, _S.RELEASING),
    (_S.RELEASING, _E.RELEASED): SourceStep(_A.FREEZE_AND_SEND, _S.SENDING),
    (_S.SENDING, _E.HELD): SourceStep(_A.WRITE_COMMIT, _S.COMMITTING),
    (_S.COMMITTING, _E.WRITTEN): SourceStep(_A.DEPART, _S.GONE),
    **{
        (stage, event): _STAY
        for stage in (_S.OFFERED, _S.AHEAD, _S.RELEASING, _S.SENDING, _S.COMMITTING)
        for event in (_E.REFUSED, _E.FAILED)
    },
}


def source_step(stage: SourceStage, event: SourceEvent) -> SourceStep:
    """What the old process does. An event that means nothing in ``stage`` is ignored."""
    return SOURCE.get((stage, event), SourceStep(_A.IGNORE, stage))


class TargetStage(Enum):
    """How far the new process is."""

    HOLDING = "it gets one session after the other, and holds it inert"
    HELD = "it holds everything, and has said so"
    COMMITTED = "it has the commit, and waits for the lock"
    RUNNING = "the hub is here"
    DROPPED = "it has dropped everything"


class TargetEvent(Enum):
    """What can happen to it."""

    ALL_HERE = "everything has come"
    COMMIT = "commit has come"
    LOCKED = "it has the hub's lock"
    LOCK_KEPT = "a third process has taken the lock"
    LINK_ENDED = "the link has been read to its end"
    FAILED = "the source gives up, or something is broken here"


class TargetAction(Enum):
    """What it does then."""

    SAY_HELD = "say that it holds everything"
    TAKE_LOCK = "take the hub's lock as soon as it is free"
    ADOPT = "let the sessions go on here"
    DROP = "drop what it holds, without a touch to the connections"
    IGNORE = "nothing"


@dataclass(frozen=True, slots=True)
class TargetStep:
    """An entry of the table."""

    action: TargetAction
    to: TargetStage


_TS, _TE, _TA = TargetStage, TargetEvent, TargetAction
_DROP = TargetStep(_TA.DROP, _TS.DROPPED)

TARGET: dict[tuple[TargetStage, TargetEvent], TargetStep] = {
    (_TS.HOLDING, _TE.ALL_HERE): TargetStep(_TA.SAY_HELD, _TS.HELD),
    (_TS.HELD, _TE.COMMIT): TargetStep(_TA.TAKE_LOCK, _TS.COMMITTED),
    (_TS.COMMITTED, _TE.LOCKED): TargetStep(_TA.ADOPT, _TS.RUNNING),
    (_TS.COMMITTED, _TE.LOCK_KEPT): _DROP,
    (_TS.COMMITTED, _TE.FAILED): _DROP,
    **{(stage, event): _DROP for stage in (_TS.HOLDING, _TS.HELD) for event in (_TE.LINK_ENDED, _TE.FAILED)},
}


def target_step(stage: TargetStage, event: TargetEvent) -> TargetStep:
    """What the new process does. An event that means nothing in ``stage`` is ignored."""
    return TARGET.get((stage, event), TargetStep(_TA.IGNORE, stage))
