"""A dial at a worker, from the worker's side: what is asked, what is passed on, and who answers the client.

A worker has no sessions. It asks the hub for a verdict, and a request thread waits for it, for a short time.
Then the client's connection is *passed*: the hub gets a copy of its descriptor, and the worker keeps its own
until the hub says ``DialTaken``. The hub says so before it writes its first byte. So these three hold:

* ``DialTaken`` was read: the connection is the hub's. The worker closes its copy, and nothing else.
* The link has been read to its end, without ``DialTaken``: the hub has written nothing, and can write
  nothing any more. The connection is the worker's again. It is passed to where the hub has moved, or gets a
  503.
* Neither: the hub may be slow, or may have said so. The worker touches nothing, however long it takes. What
  this can cost is bounded by ``most_copies``: beyond that, clients are refused before anything is passed.

Half of a worker's request threads may wait for long, since a hub that is slow must not take all of them. The
others wait for a moment. A hub that says that it moves is asked again, at its next process as soon as that is
reached, as long as the thread may wait. A hub that has missed one answer is *suspect*: clients are refused at
once, until it answers the question that it has missed. One that answers late, too late for its request
thread, has changed nothing: a question makes no session, so a client that was told 503 has none later.

Pure; called under a lock. Read next: ``dial_events.py``, then ``receiving.py``, the hub's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, assert_never

from . import dial_events as d

BRIEF_WAIT: Final = 0.25
"""So many seconds a request thread waits for a verdict without which too few would be left for all else."""

MOST_COPIES: Final = 1000
"""So many connections a worker has passed on and still keeps a copy of, at most."""


@dataclass(frozen=True, slots=True)
class DialRules:
    """``wait``: so many seconds a request thread waits, if fewer than ``most_waiting`` wait so long already.

    ``brief_wait``: so many seconds any other one waits. ``patience``: so many seconds a connection waits for
    the place to which the hub has moved.
    """

    wait: float = 2.0
    most_waiting: int = 1
    brief_wait: float = BRIEF_WAIT
    most_copies: int = MOST_COPIES
    patience: float = 2.0


def rules_for(threads: int, timeout: float) -> DialRules:
    """The rules of a worker with so many request threads: half of them may wait for long."""
    return DialRules(timeout, threads // 2, min(BRIEF_WAIT, timeout), MOST_COPIES, timeout)


@dataclass(slots=True)
class _Question:
    """``link``: where it is under way; None while there is none. ``wait``: how long its thread waits.

    ``later``: a hub has said that it moves or starts. Then it is asked again, but for those asked ``once``.
    """

    link: int | None
    wait: float
    once: bool
    later: bool = False


@dataclass(slots=True)
class _Passed:
    """A connection. ``link``: where it is under way; None: it is this process's own, until ``deadline``.

    ``hub_life``: that of the hub to which it was sent; "" before that.
    """

    link: int | None
    hub_life: str
    deadline: float


class WorkerDials:
    """A worker's dials. One thread at a time; never blocks.

    Next: carry out the effects of ``handle``, in their order, before the next event.
    """

    def __init__(self, rules: DialRules) -> None:
        self.rules = rules
        self._questions: dict[int, _Question] = {}
        self._passed: dict[int, _Passed] = {}
        self._link: int | None = None
        self._hub_life = ""
        self._here = False
        self._stopped = False
        #: The question that the hub has missed; None: the hub is not suspect.
        self._missed: int | None = None

    @property
    def suspect(self) -> bool:
        """Whether the hub has not answered a question in time, and not answered it since."""
        return self._missed is not None

    @property
    def waiting(self) -> int:
        """So many request threads wait for an answer."""
        return len(self._questions)

    def wait_of(self, number: int) -> float:
        """So many seconds the thread with this question waits before it gives up; 0 if it is told already."""
        question = self._questions.get(number)
        return question.wait if question is not None else 0.0

    @property
    def copies(self) -> int:
        """So many connections were passed on, or are to be, and are not taken."""
        return len(self._passed)

    def next_at(self) -> float | None:
        """When ``TimePasses`` must come at the latest; None: there is nothing to wait for."""
        return min((one.deadline for one in self._passed.values() if one.link is None), default=None)

    def handle(self, event: d.DialEvent, now: float) -> list[d.DialEffect]:
        """Decide what is to be done."""
        match event:
            case d.Asks(number, once):
                return self._ask(number, once)
            case d.Answered(number, link, later):
                return self._answered(number, link, later)
            case d.GivesUp(number):
                return self._give_up(number)
            case d.Passes(number):
                return self._pass(number, now)
            case d.TakenThere(number, link):
                return [d.CloseCopy(number)] if self._comes_off(number, link) else []
            case d.NotTakenThere(number, link, because):
                return [d.RefuseDial(number, because.value)] if self._comes_off(number, link) else []
            case d.LinkOpened(link, hub_life):
                self._link, self._hub_life, self._missed = link, hub_life, None
                return [*self._ask_again(), *self._pass_again()]
            case d.LinkEnded(link, to_its_end, moved):
                return self._link_ended(link, to_its_end, moved, now)
            case d.HubIsHere(hub_life):
                return self._hub_is_here(hub_life)
            case d.HubHasLeft():
                self._here = False
                return []
            case d.TimePasses():
                return self._time_passes(now)
            case d.Stops():
                return self._stop()
        assert_never(event)

    # -- questions --------------------------------------------------------------------------

    def _ask(self, number: int, once: bool) -> list[d.DialEffect]:
        result = self._at_once()
        if result is not None:
            return [d.Tell(number, result)]
        self._questions[number] = _Question(self._link, self._wait_of_one_more(), once)
        return [d.SendQuestion(number, self._link)] if self._link is not None else []

    def _at_once(self) -> d.AskedResult | None:
        """What a question is told that is not asked; None: it is asked."""
        if self._here:
            return d.AskedResult.HERE
        if self._stopped:
            return d.AskedResult.AWAY
        if self._missed is not None:
            return d.AskedResult.SUSPECT
        return d.AskedResult.FULL if self.copies >= self.rules.most_copies else None

    def _wait_of_one_more(self) -> float:
        waiting = sum(one.wait > self.rules.brief_wait for one in self._questions.values())
        return self.rules.wait if waiting < self.rules.most_waiting else self.rules.brief_wait

    def _answered(self, number: int, link: int, later: bool) -> list[d.DialEffect]:
        if link == self._link and self._missed is not None and number >= self._missed:
            self._missed = None
        question = self._questions.get(number)
        if question is None or question.link != link:
            return []
        if later and not question.once:
            # It is frozen for a moment: a client that dials meanwhile need not be told to come again.
            question.link, question.later = None, True
            return []
        del self._questions[number]
        return [d.Tell(number, d.AskedResult.LATER if later else d.AskedResult.ANSWERED)]

    def _give_up(self, number: int) -> list[d.DialEffect]:
        question = self._questions.pop(number, None)
        if question is None:
            return []  # its answer came in the same moment
        if question.link is None:
            return [d.Tell(number, d.AskedResult.LATER if question.later else d.AskedResult.AWAY)]
        if self._missed is None:
            self._missed = number
        return [d.Tell(number, d.AskedResult.MISSED)]

    def _ask_again(self) -> list[d.DialEffect]:
        """A question changes nothing, so it is simply put to the next hub, whichever that is."""
        assert self._link is not None, "a link has opened"
        again = [number for number, one in self._questions.items() if one.link != self._link]
        for number in again:
            self._questions[number].link = self._link
        return [d.SendQuestion(number, self._link) for number in again]

    def _tell_all(self, result: d.AskedResult) -> list[d.DialEffect]:
        numbers = list(self._questions)
        self._questions.clear()
        return [d.Tell(number, result) for number in numbers]

    # -- connections ------------------------------------------------------------------------

    def _pass(self, number: int, now: float) -> list[d.DialEffect]:
        if self._here:
            return [d.TakeHere(number)]
        if self._stopped:
            return [d.RefuseDial(number, d.AskedResult.AWAY.value)]
        if self.copies >= self.rules.most_copies:
            return [d.RefuseDial(number, d.AskedResult.FULL.value)]
        self._passed[number] = _Passed(self._link, "", now + self.rules.patience)
        return [self._send(number)] if self._link is not None else []

    def _send(self, number: int) -> d.DialEffect:
        assert self._link is not None, "only where there is a link"
        passed = self._passed[number]
        passed.link, passed.hub_life = self._link, self._hub_life
        return d.SendPass(number, self._link)

    def _comes_off(self, number: int, link: int) -> bool:
        """Forget a connection of which the hub has spoken; whether it was under way there."""
        passed = self._passed.get(number)
        if passed is None or passed.link != link:
            return False
        del self._passed[number]
        return True

    def _link_ended(self, link: int, to_its_end: bool, moved: bool, now: float) -> list[d.DialEffect]:
        if link == self._link:
            self._link, self._missed = None, None
        for question in self._questions.values():
            if question.link == link:
                question.link = None
        effects: list[d.DialEffect] = []
        for number in [number for number, one in self._passed.items() if one.link == link]:
            if not to_its_end:
                # ``DialTaken`` may be in what was not read: a byte of ours would be a second answer.
                del self._passed[number]
                effects.append(d.CloseCopy(number))
            elif not moved:
                del self._passed[number]
                effects.append(d.RefuseDial(number, "the process that held the hub has ended"))
            else:
                passed = self._passed[number]
                passed.link, passed.deadline = None, now + self.rules.patience
        return effects + self._pass_again()

    def _hub_is_here(self, hub_life: str) -> list[d.DialEffect]:
        if hub_life == self._hub_life:
            # It has moved along this link, which stays open: what it has not taken it will not take any more.
            for passed in self._passed.values():
                if passed.link == self._link:
                    passed.link = None
        self._here, self._hub_life, self._link, self._missed = True, hub_life, None, None
        return [*self._tell_all(d.AskedResult.HERE), *self._pass_again()]

    def _pass_again(self) -> list[d.DialEffect]:
        """Pass on what waits, if there is a hub. What was sent to another hub's life is refused."""
        if self._link is None and not self._here:
            return []
        effects: list[d.DialEffect] = []
        for number in [number for number, one in self._passed.items() if one.link is None]:
            if self._passed[number].hub_life not in ("", self._hub_life):
                del self._passed[number]
                effects.append(d.RefuseDial(number, "the hub to which it was passed has ended"))
            elif self._here:
                del self._passed[number]
                effects.append(d.TakeHere(number))
            else:
                effects.append(self._send(number))
        return effects

    def _time_passes(self, now: float) -> list[d.DialEffect]:
        late = [number for number, one in self._passed.items() if one.link is None and now >= one.deadline]
        for number in late:
            del self._passed[number]
        refused = [d.RefuseDial(number, d.AskedResult.AWAY.value) for number in late]
        return [*refused, *(self._ask_again() if self._link is not None else [])]

    def _stop(self) -> list[d.DialEffect]:
        """The hub may still take what is under way to it; the rest is this process's own."""
        self._stopped = True
        effects = self._tell_all(d.AskedResult.AWAY)
        for number, one in self._passed.items():
            effects.append(
                d.CloseCopy(number)
                if one.link is not None
                else d.RefuseDial(number, d.AskedResult.AWAY.value)
            )
        self._passed.clear()
        return effects
