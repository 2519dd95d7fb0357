"""What goes ahead of a move, at both ends, so that clients need not wait for it.

While everything is alive, the old process sends of each session what rarely changes (``SentAhead``), and the
new one builds the objects (``BuiltAhead``). When all is frozen, only the rest is sent of a session that is as
before. One that has changed or begun meanwhile is sent whole; what was built of one that has ended is
forgotten. Threads: the mover's here, the link's there; nothing here blocks. Read next: ``move_source.py``,
``../../session/ahead_state.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from ...errors import SessionStateError
from ...server.hub_arrival import HubArrival
from ...server.hub_departure import LeavingSession
from ...session.ahead_state import (
    AheadState,
    ahead_of,
    ahead_of_living,
    decode_ahead,
    encode_ahead,
    is_as_before,
    rest_of_all,
    whole,
)
from ...session.session import Session
from ...session.session_state import SessionState
from . import move_messages as m

BATCH: Final = 64
"""Sessions in one message: more descriptors would not fit in flight, and fewer are slow."""


class SentAhead:
    """The old process's. One move."""

    def __init__(self, move: str) -> None:
        self._move = move
        self._sent: dict[str, tuple[int, AheadState]] = {}

    def messages(self, sessions: Sequence[Session]) -> Iterator[m.SessionsAhead]:
        """What goes ahead of these, which are alive."""
        rest, batch = iter(sessions), 0
        while states := [ahead_of_living(session) for session in islice(rest, BATCH)]:
            for state in states:
                self._sent[state.life] = len(self._sent), state
            yield m.SessionsAhead(self._move, batch, encode_ahead(states))
            batch += 1

    def message(self, batch: int, leaving: Sequence[LeavingSession]) -> m.SessionsMove:
        """The message with these sessions, which are frozen."""
        states = [one.state for one in leaving]
        numbers = [self._number_of(state) for state in states]
        again = [ahead_of(state) for state, number in zip(states, numbers, strict=True) if number < 0]
        return m.SessionsMove(
            self._move,
            batch,
            tuple(one.transport is not None for one in leaving),
            tuple(one.carried for one in leaving),
            tuple(numbers),
            encode_ahead(again) if again else b"",
            rest_of_all(states),
        )

    def _number_of(self, state: SessionState) -> int:
        number, sent = self._sent.get(state.decisions.life, (-1, None))
        return number if sent is not None and is_as_before(sent, state) else -1


class BuiltAhead:
    """The new process's. One move."""

    def __init__(self, arrival: HubArrival) -> None:
        self._arrival = arrival
        self._built: dict[int, tuple[AheadState, Session]] = {}
        self._count = 0

    def build(self, message: m.SessionsAhead) -> None:
        """Make the objects of these sessions. Raises: SessionStateError."""
        for state in decode_ahead(message.states):
            self._built[self._count] = state, self._arrival.build(state)
            self._count += 1

    def sessions(self, message: m.SessionsMove) -> list[tuple[SessionState, Session | None]]:
        """The sessions of a message, each with what was built of it. Raises: SessionStateError."""
        again = iter(decode_ahead(message.states) if message.states else ())
        aheads: list[AheadState] = []
        built: list[Session | None] = []
        for number in message.ahead:
            found: tuple[AheadState | None, Session | None]
            found = (next(again, None), None) if number < 0 else self._built.pop(number, (None, None))
            if found[0] is None:
                raise SessionStateError("what went ahead of a session has not come")
            aheads.append(found[0])
            built.append(found[1])
        if next(again, None) is not None:
            raise SessionStateError("more went ahead than sessions came")
        return list(zip(whole(aheads, message.rests), built, strict=True))

    def forget(self) -> None:
        """Those that are left have ended in the old process, or the move has."""
        self._built.clear()
