"""The old process's side of a move: it gives its hub to another process, or goes on as if nothing had been.

``MoveSource.move`` runs on a thread of its caller, from the offer to the commit. Each step is looked up in
``core/cluster/hub_move.py``. Afterwards the link of the move stays open until the carried sessions have said
their last word, and threads that ask clients have their answers (``late_answers.py``). Handlers run on the
link's thread and only pass on what came. Read next: ``move_target.py``, ``../../server/hub_departure.py``.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from ...clock import now
from ...core.cluster.hub_move import SourceAction, SourceEvent, SourceStage, source_step
from ...core.commands import LeaveBehind, SetDrain
from ...core.drain import Drain
from ...errors import LinkBroken, ResumeHubError
from ...runtime.base import Mailbox
from ...runtime.foreign_code import Log
from ...runtime.garbage import CyclesNotSought
from ...server.hub_departure import HubDeparture, LeavingSession
from ...server.hub_loop import HubLoop
from ...server.hub_parking import name_of
from ...server.hub_runner import HubRunner
from ...server.session_release import LastWord
from ...session.elsewhere import Elsewhere
from ...session.plain_values import dump
from ..door import Door
from ..link import Link
from ..link_thread import Handlers
from . import move_messages as m
from .late_answers import LateAnswers
from .move_ahead import BATCH, SentAhead
from .move_parts import DRAIN, HISTORY, HubMoved, HubNotMoved, SourceHost, Traveller

log = Log(__name__)

QUICK: Final = 0.2
"""Seconds for the releases of sessions of which no handler runs: meanwhile their messages wait."""

PATIENCE: Final = 3.0
"""Seconds for each answer of the target: while everything is frozen, a target that hangs is given up."""

HEAD_START: Final = 1.0
"""Seconds behind the commit in which the source forgets nothing yet, unless the target goes on sooner."""

IN_FLIGHT: Final = 2
"""So many of these messages may be unanswered: a user may have as few as 256 descriptors in flight."""

_E = SourceEvent


class MoveSource:
    """One process's. Methods: any thread; ``move`` one at a time."""

    def __init__(
        self, runner: HubRunner, door: Door, host: SourceHost, travellers: Mapping[str, Traveller]
    ) -> None:
        self._runner = runner
        self._door = door
        self._host = host
        self._travellers = travellers
        # The last one, and those before it for which a callback still runs here, or a thread waits.
        self._attempts: list[_Attempt] = []
        #: For the links at which this process is the hub's end.
        self.handlers: Handlers = {
            m.MoveAccepted: self._answered,
            m.MoveDropped: self._answered,
            m.SessionsHeld: self._answered,
            m.MoveHeld: self._answered,
            m.HubGoesOn: self._answered,
            m.AnswerArrived: self._answer_arrived,
        }

    def on_link_end(self, link: Link) -> None:
        """A link has been read to its end. On its thread; never blocks."""
        for attempt in self._attempts:
            if attempt.link is link:
                attempt.answers.put(None)
                attempt.late.end_all()

    @property
    def runs_callbacks(self) -> bool:
        """Whether a callback still runs here of a session that has left."""
        return any(attempt.runs_callbacks for attempt in self._attempts)

    @property
    def is_needed(self) -> bool:
        """Whether such a callback runs, or a thread waits for the client of such a session."""
        return any(attempt.is_needed for attempt in self._attempts)

    def move(
        self, link: Link, hub_life: str, elsewhere: Elsewhere, deadline: float
    ) -> HubMoved | HubNotMoved:
        """Give the hub to the process at the other end of ``link``; what fails before the commit is undone.

        ``elsewhere``: reaches the sessions there, for handles that are kept here. ``deadline``: real seconds,
        as ``clock.now``; a quarter of the time is for callbacks. Threads: none of the hub's, nor a link's.
        Blocks: up to ``deadline``, and a little longer where the last step is a long one.
        """
        loop = self._runner.loop
        assert loop is not None, "this process holds the hub"
        attempt = _Attempt(self, link, loop, hub_life, elsewhere, deadline)
        self._attempts = [*(one for one in self._attempts if one.is_needed), attempt]
        return attempt.run()

    def _answered(self, link: Link, message: Any, descriptors: Sequence[int]) -> None:
        for attempt in self._attempts:
            if attempt.link is link and attempt.move == message.move:
                attempt.answers.put(message)

    def _answer_arrived(self, link: Link, message: m.AnswerArrived, descriptors: Sequence[int]) -> None:
        for attempt in self._attempts:
            if attempt.move == message.move:
                attempt.late.arrived(message)

    # -- for its attempts ------------------------------------------------------------------

    @property
    def door(self) -> Door:
        """The process's."""
        return self._door

    @property
    def runner(self) -> HubRunner:
        """The process's."""
        return self._runner

    def release_hub(self) -> None:
        """Let go of the hub's lock."""
        self._host.release_hub()

    def parts(self, loop: HubLoop) -> dict[str, bytes]:
        """What belongs to the hub beside its sessions, by name. Everything is frozen."""
        parts = {name: traveller.export() for name, traveller in self._travellers.items()}
        if loop.registry.history is not None:
            parts[HISTORY] = dump(loop.registry.history.export())
        if (drain := loop.registry.drain) is not Drain.NONE:
            parts[DRAIN] = drain.value.encode()
        return parts


class _Attempt:
    """One move, from the offer on."""

    def __init__(
        self,
        source: MoveSource,
        link: Link,
        loop: HubLoop,
        hub_life: str,
        elsewhere: Elsewhere,
        deadline: float,
    ) -> None:
        runtime = source.runner.runtime
        self._source = source
        self.link = link
        self._loop = loop
        self._hub_life = hub_life
        self._elsewhere = elsewhere
        self._deadline = deadline
        self.move = secrets.token_hex(16)
        self._departure = HubDeparture(loop, runtime)
        self._ahead = SentAhead(self.move)
        #: What the target says; None: the link has ended.
        self.answers: Mailbox = runtime.mailbox()
        self.late = LateAnswers(runtime, loop, self._need_link_no_more, self._give_up)
        self._stage = SourceStage.OFFERED
        self._because = ""
        self._ahead_in = self._released_in = self._frozen_at = 0.0
        self._words_left = 0
        self._cycles = CyclesNotSought()
        self._lock = runtime.lock("the end of a move")

    def run(self) -> HubMoved | HubNotMoved:
        """Step by step, as the table says."""
        try:
            return self._step_by_step()
        finally:
            self._cycles.end()
            del self._departure, self._ahead  # they know the sessions, and this stays for what comes late

    def _step_by_step(self) -> HubMoved | HubNotMoved:
        event = self._offer()
        while True:
            step = source_step(self._stage, event)
            before, self._stage = self._stage, step.to
            match step.action:
                case SourceAction.SEND_AHEAD:
                    event = self._guarded(self._send_ahead)
                case SourceAction.RELEASE:
                    event = self._release()
                case SourceAction.FREEZE_AND_SEND:
                    event = self._guarded(self._freeze_and_send)
                case SourceAction.WRITE_COMMIT:
                    event = self._write_commit()
                case SourceAction.DEPART:
                    return self._depart()
                case SourceAction.THAW:
                    return self._thaw(before)
                case SourceAction.IGNORE:
                    raise AssertionError(f"{event.name} means nothing while {before.value}")

    # -- the steps --------------------------------------------------------------------------

    def _offer(self) -> SourceEvent:
        sessions = list(self._loop.registry.sessions.values())
        connected = sum(session.writer is not None for session in sessions)
        offer = m.MoveOffer(self.move, self._hub_life, len(sessions), connected)
        return self._guarded(lambda: self._ask(offer, _E.ACCEPTED))

    def _send_ahead(self) -> SourceEvent:
        began = now()
        until = began + max(0.0, self._deadline - began) / 4
        sessions = list(self._loop.registry.sessions.values())
        messages: Iterator[tuple[Any, Sequence[int]]] = (
            (message, ()) for message in self._ahead.messages(sessions)
        )
        event = self._send_each(takewhile(lambda _: now() < until, messages))
        self._ahead_in = now() - began
        return _E.BUILT if event is _E.HELD else event

    def _release(self) -> SourceEvent:
        began = now()
        self._departure.release(began + max(0.0, self._deadline - began) / 4, QUICK)
        self._released_in = now() - began
        return _E.RELEASED

    def _freeze_and_send(self) -> SourceEvent:
        self._frozen_at = now()
        self._cycles.begin()
        if not self._source.door.freeze(max(0.0, min(PATIENCE, self._deadline - now()))):
            return self._failed("calls of the application did not end in time")
        self._departure.freeze()
        if (event := self._send_each(self._batches())) is not _E.HELD:
            return event
        parts = self._source.parts(self._loop)
        rest = m.RestMoves(
            self.move,
            self._departure.sessions,
            tuple(parts),
            tuple(len(part) for part in parts.values()),
            b"".join(parts.values()),
        )
        return self._ask(rest, _E.HELD)

    def _send_each(self, messages: Iterable[tuple[Any, Sequence[int]]]) -> SourceEvent:
        """Send these, each with its descriptors; HELD when the target has all of them."""
        unanswered = 0
        for message, descriptors in messages:
            if unanswered == IN_FLIGHT:
                if (event := self._wait(_E.HELD)) is not _E.HELD:
                    return event
                unanswered -= 1
            self.link.send(message, descriptors)
            unanswered += 1
        for _ in range(unanswered):
            if (event := self._wait(_E.HELD)) is not _E.HELD:
                return event
        return _E.HELD

    def _batches(self) -> Iterator[tuple[m.SessionsMove, list[int]]]:
        leaving: list[LeavingSession] = []
        number = 0
        for one in self._departure.leaving():
            leaving.append(one)
            if len(leaving) == BATCH:
                yield self._batch(number, leaving)
                leaving, number = [], number + 1
        if leaving:
            yield self._batch(number, leaving)

    def _batch(self, number: int, leaving: list[LeavingSession]) -> tuple[m.SessionsMove, list[int]]:
        message = self._ahead.message(number, leaving)
        return message, [one.descriptor for one in leaving if one.transport is not None]

    def _write_commit(self) -> SourceEvent:
        try:
            self.link.send(m.MoveCommitted(self.move))
        except LinkBroken as error:
            return self._failed(str(error))  # nothing of it was written
        # Should the kernel not have taken it at once, and the link end meanwhile, nobody can know: then it
        # counts as written.
        self.link.wait_written(max(1.0, self._deadline - now()))
        return _E.WRITTEN

    def _depart(self) -> HubMoved:
        paused_for = now() - self._frozen_at
        departure, staying = self._departure, self._departure.staying
        self._words_left = departure.carried
        self.late.expect(departure.leaving_sessions)  # before the target begins: it may have answers at once
        self._source.release_hub()
        self._let_the_target_begin()
        departure.commit(self._elsewhere, self._say)
        self._source.door.gone()
        self._loop.put(LeaveBehind(tuple(one.session.epoch for one in staying)))
        self._loop.put(SetDrain(Drain.NONE, told=False))
        if self._loop.registry.history is not None:
            self._loop.registry.history.clear()
        self._need_link_no_more()
        ended = tuple((name_of(one.session), one.because) for one in staying)
        staying.clear()
        return HubMoved(
            departure.sessions, departure.carried, ended, self._released_in, paused_for, self._ahead_in
        )

    def _let_the_target_begin(self) -> None:
        """Wait, not for long, until the sessions go on there: the two processes may share a processor.

        Who calls the hub here could not be answered sooner in any case.
        """
        give_up = now() + HEAD_START
        while (left := give_up - now()) > 0:
            answer = self.answers.get(left)
            if answer is None or isinstance(answer, m.HubGoesOn):
                return

    def _thaw(self, before: SourceStage) -> HubNotMoved:
        if before not in (SourceStage.OFFERED, SourceStage.AHEAD):
            self._departure.thaw()
            self._source.door.thaw()
        self._tell(m.MoveGivenUp(self.move))
        return HubNotMoved(self._because)

    # -- behind the commit: any thread ------------------------------------------------------

    @property
    def runs_callbacks(self) -> bool:
        """Whether a carried session has not said its last word."""
        with self._lock:
            return self._words_left > 0

    @property
    def is_needed(self) -> bool:
        """Whether that is so, or a thread here waits for a client there."""
        return self.runs_callbacks or self.late.waits

    def _say(self, word: LastWord) -> None:
        """A carried session's callbacks have ended here."""
        data = json.dumps(word.data) if word.problem is None else ""
        said = m.LastWordSaid(self.move, word.life, data, word.problem or "", word.failed_in)
        with self._lock:  # one step: the process that has the word may offer the hub back at once
            try:
                self.link.send(said)
            except LinkBroken:
                log.warning("the data of a session that was carried is lost: its hub is gone")
            self._words_left -= 1
        self._need_link_no_more()

    def _give_up(self, life: str, request_id: str) -> None:
        self._tell(m.AnswerUnwanted(self.move, life, request_id))

    def _tell(self, message: Any) -> None:
        with contextlib.suppress(LinkBroken):  # the target reads the link to its end
            self.link.send(message)

    def _need_link_no_more(self) -> None:
        """If that is so, tell the target, which closes the link."""
        if not self.is_needed:
            self._tell(m.NothingMore(self.move))

    # -- talking ----------------------------------------------------------------------------

    def _guarded(self, step: Any) -> SourceEvent:
        """A step; whatever it raises makes the hub stay."""
        try:
            event: SourceEvent = step()
        except (ResumeHubError, OSError, ValueError) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        except Exception as error:
            log.exception("a move of the hub has failed; please report this")
            return self._failed(f"{type(error).__name__}: {error}")
        return event

    def _ask(self, message: Any, wanted: SourceEvent) -> SourceEvent:
        self.link.send(message)
        return self._wait(wanted)

    def _wait(self, wanted: SourceEvent) -> SourceEvent:
        """Wait for the target's answer: ``wanted``, unless it refuses, the link ends, or time is over."""
        left = min(PATIENCE, self._deadline - now())
        answer = self.answers.get(left) if left > 0 else None
        if isinstance(answer, m.MoveDropped):
            self._because = f"the other process can't take it: {answer.because}"
            return _E.REFUSED
        if answer is None:
            ended = self.link.ended
            return self._failed("the link to the other process has ended" if ended else "it does not answer")
        return wanted

    def _failed(self, because: str) -> SourceEvent:
        self._because = because
        return _E.FAILED
