"""Takes all sessions out of a running hub to be written down, and closes their connections with 1012.

A ``HubDeparture`` that ends in another way: nobody goes on with the connections. Until ``commit_parked`` it
can be undone (``thaw``), so the file is durable before any client hears of it. What is not kept stays in the
hub, which its owner closes next. Threads: as ``hub_departure.py``. Read next: ``hub_departure.py``,
``../session/parked_state.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial

from ..core.commands import Park
from ..errors import SessionStateError
from ..session.elsewhere import Elsewhere
from ..session.parked_state import parked, why_not_parked
from ..session.session import Session
from ..session.session_state import encode
from .history import HistoryState
from .hub_departure import HubDeparture


@dataclass(frozen=True, slots=True)
class ParkedSession:
    """A session as it is written down: ``data``, or the reason why it can't be. ``name``: for a log line."""

    epoch: int
    name: str
    data: bytes
    because: str = ""


class HubParking(HubDeparture):
    """``release``, ``freeze``, ``written_down``, then ``commit_parked``; or ``thaw`` at any time before."""

    def written_down(self) -> Iterator[ParkedSession]:
        """Each session, one by one: those with a connection first. Blocks: never."""
        for leaving, (session, _) in zip(self.leaving(), self._packed, strict=True):
            state = leaving.state
            name = name_of(session)
            because = why_not_parked(state)
            if self._loop.config.data_codec is None:
                because = "its data belongs to this process (data_codec=None)"
            elif leaving.carried:
                because = "a handler of it still runs"
            if because is not None:
                yield ParkedSession(session.epoch, name, b"", because)
                continue
            try:
                data = encode(parked(state, self._runtime.lock()))
            except (TypeError, ValueError, SessionStateError) as error:
                yield ParkedSession(session.epoch, name, b"", str(error))
            else:
                yield ParkedSession(session.epoch, name, data)

    def history(self) -> HistoryState | None:
        """What was broadcast last in the rooms, between ``freeze`` and the end; None: nothing is kept."""
        history = self._loop.registry.history
        return history.export() if history is not None else None

    def commit_parked(self, kept: Collection[int], elsewhere: Elsewhere) -> None:
        """The sessions ``kept`` (epochs) are in a durable file: forget them, and tell their clients.

        Those that are not kept go on here, and on_adopt runs for each that was released. ``elsewhere``: what
        handles ask from now on. Next: close the hub. Blocks: until the hub thread has done it; for no peer.
        """
        gone = [session for session, _ in self._packed if session.epoch in kept]
        self._loop.let_go(Park(tuple(session.epoch for session in gone)))
        self._is_held = False
        for session in gone:
            with session.outbox.lock:
                asked = list(session.own_requests.settle_all())
            for one in asked:
                one.ended(None)
        self._unfence()
        self._unseal({session.epoch for session in gone}, elsewhere)
        for session in gone:
            self._releases.pop(session.epoch).depart()
            session.ended.set()
        for release in self._releases.values():
            release.undo(partial(self._go_on, release))


def name_of(session: Session) -> str:
    """How a log line calls a session. A generated id is a secret."""
    generated = session.credentials.generated
    return f"session {session.life[:8]}" if generated else session.connection_id
