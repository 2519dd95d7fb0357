"""Requests of the soak: one end asks, the other answers, and both count.

An ``Asker`` has one request after the other on a thread of its own, and says how each ended: answered, in
doubt, never sent. An ``Answerer`` is the handler at the other end, and says which it has had, and how often.
Both ends of the soak use both. ``Requests`` puts the two accounts of a direction side by side.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resumehub import Message
from resumehub.errors import ConnectionClosed, RequestInDoubt, ResumeHubError, SendBufferFull

EVENT = "ask"


class Asker:
    """``ask(payload)`` sends a request and gives the answer. ``pace``: seconds between two requests."""

    def __init__(self, name: str, pace: float, ask: Callable[[Any], Any]) -> None:
        self._name = name
        self._pace = pace
        self._ask = ask
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"asker of {name}", daemon=True)
        self.ends: Counter[str] = Counter()
        self._number = 0

    def start(self) -> None:
        self._thread.start()

    def tell_to_stop(self) -> None:
        """Ask no more behind the request that is under way."""
        self._stop.set()

    def summary(self) -> dict[str, int]:
        return {**self.ends, "stuck": int(self._thread.is_alive())}

    def _run(self) -> None:
        while not self._stop.wait(self._pace):
            self.ends[self._once()] += 1

    def _once(self) -> str:
        self._number += 1
        payload = [self._name, self._number]
        try:
            answer = self._ask(payload)
        except SendBufferFull:
            return "refused"
        except RequestInDoubt:
            return "in_doubt"
        except ConnectionClosed:
            return "unsent"
        except ResumeHubError:
            return "failed"
        return "answered" if answer == {"of": payload} else "wrong"


class Answerer:
    """What answers the requests of one name. ``answer`` is called by one thread at a time."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[int] = set()
        self.twice = self.astray = 0

    def answer(self, message: Message) -> Any:
        """The answer to a request."""
        match message.payload:
            case [str(name), int(number)] if name == self._name:
                self.twice += number in self._seen
                self._seen.add(number)
            case _:
                self.astray += 1
        return {"of": message.payload}

    def summary(self) -> dict[str, int]:
        return {"handled": len(self._seen), "twice": self.twice, "astray": self.astray}


@dataclass(slots=True)
class Requests:
    """Both ends of one direction, summed over clients.

    ``unsent``: the session was over before they were written. ``stuck``: without an end when all was calm.
    """

    answered: int = 0
    in_doubt: int = 0
    unsent: int = 0
    refused: int = 0
    failed: int = 0
    wrong: int = 0
    stuck: int = 0
    handled: int = 0
    twice: int = 0
    astray: int = 0

    def add(self, *parts: dict[str, int]) -> None:
        """Add what an asker or an answerer counted."""
        for part in parts:
            for name, number in part.items():
                setattr(self, name, getattr(self, name) + number)

    def failures(self, way: str) -> list[str]:
        """Sentences, one for each promise that was not kept."""
        found = []
        for number, what in (
            (self.failed, "failed"),
            (self.wrong, "had an answer that is not theirs"),
            (self.stuck, "had no end"),
            (self.twice, "were handled twice"),
            (self.astray, "were another client's"),
            (max(0, self.answered - self.handled), "were answered and not handled"),
            (max(0, self.handled - self.answered - self.in_doubt), "were handled, and their askers not told"),
        ):
            if number:
                found.append(f"{number} requests {way} {what}")
        return found
