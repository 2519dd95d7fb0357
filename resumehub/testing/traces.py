"""Reading, checking and telling the traces that ``resumehub.trace.Trace`` records.

A record is a dict with ``n``, ``at`` (seconds), ``lane`` and ``what``; ``load`` reads them from JSON
lines. ``verify`` gives every sentence about sessions that a trace contradicts, ``prose`` gives the trace as
sentences, and ``arrows`` as moves between lanes, which ``mermaid`` here and ``drawing.svg`` draw. Pure; used
by tests and by ``tools/race``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..hooks import HOOKS
from ..trace import LANES

Record = dict[str, Any]

_FROM_READER = ("PeerClosed", "PeerGone", "PeerFailed", "Released")
_FROM_WRITER = ("CloseSent", "WriteFailed", "WriteStalled", "WindowFull")
_FROM_APP = (
    "Kick",
    "Expire",
    "KickUser",
    "EndAll",
    "SetDrain",
    "Close",
    "JoinRoom",
    "LeaveRoom",
    "Shutdown",
    "AbortAll",
    "HandlerFailed",
)
_TO_READER = ("AttachTransport", "DetachTransport", "AdmitToRefuse")
_TO_WRITER = ("SendClose", "DiscardUnsent", "SendPing")
_HOOKS = tuple(HOOKS)


def load(lines: Iterable[str]) -> list[Record]:
    """Read records from JSON lines; empty lines are passed over.

    Raises: ValueError that names the line which is no record.
    """
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(record, dict) or not {"n", "at", "lane", "what"} <= record.keys():
            raise ValueError(f"line {number} is no record of a trace: it needs n, at, lane and what")
        records.append(record)
    return records


# -- checking -----------------------------------------------------------------------------


def verify(records: Iterable[Record]) -> list[str]:
    """Every invariant that the trace breaks, as a sentence; empty when all is well.

    Checked: time never goes back on the hub; each session has at most one transport at a time and
    its generations count up by one; callbacks come in order (connect first; drops and restores in
    turn; disconnect once, and nothing after it); a resume comes within the grace window and
    an expiry at its end. Sessions that began before the trace are checked from where it begins.
    """
    lives: dict[int, _Life] = {}
    broken: list[str] = []
    window: float | None = None
    last = float("-inf")
    for record in records:
        if record["lane"] == "hub":
            if record["at"] < last:
                broken.append(f"record {record['n']}: time goes back from {last} to {record['at']}")
            last = max(last, record["at"])
        if record["what"] == "Started":
            window = record["resume_window"]
        epoch = record.get("epoch")
        if epoch is not None:
            life = lives.setdefault(epoch, _Life(epoch))
            broken.extend(f"record {record['n']}: {sentence}" for sentence in life.see(record, window))
    return broken


class _Life:
    """One session, as a trace shows it."""

    def __init__(self, epoch: int) -> None:
        self.name = f"session {epoch}"
        self.seen_from_start = False
        self.transport: int | None = None
        self.generation: int | None = None
        self.dropped_at: float | None = None
        self.over = False
        self.hooks: list[str] = []

    def see(self, record: Record, window: float | None) -> Iterator[str]:
        what, at = record["what"], record["at"]
        if record["lane"] == "app" and what in _HOOKS:
            yield from self._hook(what)
        elif what == "OpenSession":
            self.seen_from_start = True
        elif what == "AttachTransport":
            yield from self._attach(record, window)
        elif what == "DetachTransport":
            if self.transport is not None and self.transport != record["transport"]:
                yield f"{self.name} loses transport {record['transport']} but is on {self.transport}"
            self.transport, self.dropped_at = None, at
        elif what == "EndSession":
            if self.over:
                yield f"{self.name} ends twice"
            due = self.dropped_at + window if self.dropped_at is not None and window is not None else None
            if record.get("drop_reason") == "expired" and due is not None and abs(due - at) > 1e-3:
                yield f"{self.name} was to expire at {due} and expired at {at}"
            self.over, self.transport = True, None

    def _attach(self, record: Record, window: float | None) -> Iterator[str]:
        if self.over:
            yield f"{self.name} gets transport {record['transport']} after its end"
        if self.transport is not None:
            yield f"{self.name} gets transport {record['transport']} while it is on {self.transport}"
        expected = (self.generation or 0) + 1
        if (self.generation is not None or self.seen_from_start) and record["generation"] != expected:
            yield f"{self.name} goes from generation {self.generation} to {record['generation']}"
        due = self.dropped_at + window if self.dropped_at is not None and window else None
        if due is not None and record["at"] >= due:
            yield f"{self.name} was to expire at {due} and is resumed at {record['at']}"
        self.transport, self.generation, self.dropped_at = record["transport"], record["generation"], None

    def _hook(self, hook: str) -> Iterator[str]:
        if self.hooks and self.hooks[-1] == "on_disconnect":
            yield f"{self.name}: {hook} after on_disconnect"
        if self.seen_from_start and not self.hooks and hook != "on_connect":
            yield f"{self.name}: {hook} before on_connect"
        if hook == "on_connect" and self.hooks:
            yield f"{self.name}: on_connect again"
        turns = [one for one in self.hooks if one in ("on_transport_drop", "on_transport_restore")]
        expected = "on_transport_restore" if turns[-1:] == ["on_transport_drop"] else "on_transport_drop"
        known = bool(turns) or self.seen_from_start
        if known and hook in ("on_transport_drop", "on_transport_restore") and hook != expected:
            yield f"{self.name}: {hook} where {expected} was due"
        self.hooks.append(hook)


# -- telling ------------------------------------------------------------------------------


def prose(records: Iterable[Record]) -> Iterator[str]:
    """The trace as sentences, one a record."""
    for record in records:
        yield f"{record['at']:10.3f}  {record['lane']:<7} {tell(record)}"


def tell(record: Record) -> str:
    """One record as a sentence."""
    teller = _TELLERS.get(record["what"])
    if teller is not None:
        return teller(record)
    rest = ", ".join(
        f"{key} {value}" for key, value in record.items() if key not in ("n", "at", "lane", "what", "kind")
    )
    return f"{record['what']}" + (f" ({rest})" if rest else "")


def _register(r: Record) -> str:
    if r.get("refusal"):
        return f"transport {r['transport']} comes to be told {r['refusal'][0]} {r['refusal'][1]!r}"
    how = "comes back with resume=true" if r["resume"] else "connects"
    return f"{r['connection_id']!r} {how} on transport {r['transport']}, room {r['room_id']!r}"


def _wrote(r: Record) -> str:
    parts = [f"{r['frames']} frame{'s' * (r['frames'] != 1)} ({r['size']} bytes)"] if r["frames"] else []
    parts += ["a close frame"] if r["close"] else []
    text = (
        f"transport {r['transport']} takes {' and '.join(parts)}" if parts else f"transport {r['transport']}"
    )
    text += ", then takes no more" if r["blocked"] else ""
    text += " can be written no more" if r["failed"] else ""
    return text + (f"; {r['left']} wait" if r["left"] else "")


def _end(r: Record) -> str:
    kept = (
        "what was accepted still goes out"
        if r["flush"]
        else f"what is unsent is dropped ({r['drop_reason']})"
    )
    return f"session {r['epoch']} ends; {kept}"


_TELLERS: dict[str, Callable[[Record], str]] = {
    "Started": lambda r: f"the hub starts, with a resume window of {r['resume_window']} s",
    "Register": _register,
    "PeerClosed": lambda r: f"the peer closed transport {r['transport']} with {r['code']}",
    "PeerGone": lambda r: f"transport {r['transport']} {'was reset' if r['reset'] else 'came to its end'}",
    "PeerFailed": lambda r: f"the peer of transport {r['transport']} broke the protocol ({r['code']})",
    "TransportAborted": lambda r: f"transport {r['transport']} is given up",
    "CloseSent": lambda r: f"the close frame of transport {r['transport']} is out",
    "WriteFailed": lambda r: f"transport {r['transport']} cannot be written any more",
    "WriteStalled": lambda r: f"the peer of transport {r['transport']} takes no more bytes",
    "WindowFull": lambda r: f"the client on transport {r['transport']} must acknowledge before it gets more",
    "Released": lambda r: f"transport {r['transport']} is closed",
    "Kick": lambda r: f"the application kicks {r['connection_id']!r}",
    "Expire": lambda r: f"an operator ends the grace window of {r['connection_id']!r}",
    "KickUser": lambda r: "the application kicks all sessions of a user",
    "EndAll": lambda r: "the application ends all sessions",
    "SetDrain": lambda r: "the hub is to be drained, or no more",
    "Close": lambda r: f"the application closes session {r['epoch']}",
    "JoinRoom": lambda r: f"session {r['epoch']} is to join room {r['room_id']!r}",
    "LeaveRoom": lambda r: f"session {r['epoch']} is to leave room {r['room_id']!r}",
    "HandlerFailed": lambda r: f"{r['hook']} of session {r['epoch']} raised",
    "Shutdown": lambda r: "the hub is to shut down",
    "AbortAll": lambda r: "the hub is to drop what is left",
    "OpenSession": lambda r: (
        f"session {r['epoch']} of {r['connection_id']!r} begins in room {r['room_id']!r}"
    ),
    "AttachTransport": lambda r: (
        f"session {r['epoch']} goes on transport {r['transport']}, generation {r['generation']}"
    ),
    "DetachTransport": lambda r: f"session {r['epoch']} comes off transport {r['transport']}",
    "EndSession": _end,
    "AddMember": lambda r: f"session {r['epoch']} is in room {r['room_id']!r} now",
    "RemoveMember": lambda r: f"session {r['epoch']} is in room {r['room_id']!r} no more",
    "NotJoined": lambda r: f"{r['connection_id']!r} can't join room {r['room_id']!r}",
    "AdmitToRefuse": lambda r: f"transport {r['transport']} is admitted, to be refused",
    "SendClose": lambda r: (
        f"transport {r['transport']} is to close with {r['code']} {r['reason']!r}"
        f"{', behind what waits' if r['after_data'] else ''}"
    ),
    "DiscardUnsent": lambda r: f"what waits for transport {r['transport']} is dropped",
    "SendPing": lambda r: f"transport {r['transport']} gets a ping",
    "AbortTransport": lambda r: f"transport {r['transport']} is cut",
    "Notify": lambda r: (
        f"{r['hook']} of session {r['epoch']} is due" + (f" ({r['error']})" if r["error"] else "")
    ),
    "NotifyMembership": lambda r: (
        f"{r['hook']} of session {r['epoch']} and room {r['room_id']!r} is due ({r['reason']})"
    ),
    "Ignored": lambda r: f"nothing happens: {r['because']}",
    "NotFound": lambda r: f"there is no session {r['connection_id']!r}",
    "Finish": lambda r: "the hub is done",
    "Wrote": _wrote,
    "Send": lambda r: f"a message of {r['size']} bytes to {r['connection_id']!r}",
    "Broadcast": lambda r: f"a broadcast of {r['size']} bytes to {r['recipients']} in room {r['room_id']!r}",
    "SendToUser": lambda r: f"a message of {r['size']} bytes to {r['recipients']} sessions of a user",
    "DataReceived": lambda r: f"a message of {r['size']} bytes on transport {r['transport']}",
    "PingReceived": lambda r: f"a ping on transport {r['transport']}",
    "PongReceived": lambda r: f"a pong on transport {r['transport']}",
    "CloseReceived": lambda r: f"a close frame {r['code']} on transport {r['transport']}",
    "Failed": lambda r: f"a breach of protocol ({r['code']}) on transport {r['transport']}",
    "Ended": lambda r: f"transport {r['transport']} {'is reset' if r['reset'] else 'is at its end'}",
    **{
        hook: lambda r: f"{r['what']} runs for {r['connection_id']!r} (session {r['epoch']})"
        for hook in _HOOKS
    },
}


# -- drawing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrow:
    """One move between lanes (or a note, where ``source`` is ``target``)."""

    at: float
    source: str
    target: str
    label: str
    tone: str


def arrows(records: Iterable[Record]) -> Iterator[Arrow]:
    """The trace as moves between the lanes; bookkeeping of the hub's is left out."""
    for record in records:
        ends = _ends(record)
        if ends is not None:
            yield Arrow(record["at"], *ends, tell(record), _tone(record))


def _ends(record: Record) -> tuple[str, str] | None:
    what, lane = record["what"], record["lane"]
    if what in ("Observed", "Inspect", "Released", "Finish", "Started"):
        return None
    if lane == "reader":
        return "client", "reader"
    if lane == "writer":
        return "writer", "client"
    if lane == "app":
        return ("app", "writer") if what in ("Send", "Broadcast") else ("app", "app")
    if record.get("kind") == "command":
        sources = {"reader": _FROM_READER, "writer": _FROM_WRITER, "app": _FROM_APP}
        source = next((name for name, whats in sources.items() if what in whats), "client")
        return source, "hub"
    if what in _TO_READER:
        return "hub", "reader"
    if what in _TO_WRITER:
        return "hub", "writer"
    return ("hub", {"Notify": "app", "NotifyMembership": "app", "AbortTransport": "client"}.get(what, "hub"))


def _tone(record: Record) -> str:
    what = record["what"]
    if what in ("Ignored", "NotFound"):
        return "quiet"
    if what in (
        "EndSession",
        "AbortTransport",
        "PeerGone",
        "PeerFailed",
        "SendClose",
        "Ended",
        "Failed",
        "WriteFailed",
    ):
        return "end"
    if what in ("OpenSession", "AttachTransport", "on_connect", "on_transport_restore"):
        return "begin"
    if what in ("DetachTransport", "on_transport_drop", "WriteStalled"):
        return "wait"
    return "plain"


def mermaid(records: Iterable[Record]) -> str:
    """The trace as a Mermaid sequence diagram."""
    lines = ["sequenceDiagram", *(f"    participant {lane}" for lane in LANES)]
    clock: float | None = None
    for arrow in arrows(records):
        if arrow.at != clock:
            clock = arrow.at
            lines.append(f"    Note over {LANES[0]},{LANES[-1]}: {clock:g} s")
        label = arrow.label.replace(";", ",").replace("#", "no. ").replace("\n", " ")
        if arrow.source == arrow.target:
            lines.append(f"    Note over {arrow.source}: {label}")
        else:
            lines.append(f"    {arrow.source}->>{arrow.target}: {label}")
    return "\n".join(lines) + "\n"
