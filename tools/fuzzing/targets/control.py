"""What a client of ``resumehub.v1`` says: control messages, requests, answers, in any order, to a whole hub.

The hub is the real one with its real threads, one at a time, under the lab's scheduler and clock; beside what
the client says there are sends, broadcasts, drops, resumes, time and moves to another hub. What must hold:
the core's invariants after each step; close codes of the documented list and no others; frames that a sound
server writes; no more frames of the buffer waiting than its bounds allow; no payload of a client's in the
log; sums that add up; and a hub that comes to a complete end. Beside that, each reader of a control message
gives a value or ``Malformed``, and the codec a message that it writes again as it was. Read next:
``link.py``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from resumehub import Message
from resumehub.codes import CloseCode
from resumehub.core.invariants import broken
from resumehub.json_codec import JSONCodec
from resumehub.protocol import control_messages as v1
from resumehub.testing import Lab, client_frame
from resumehub.testing.wire import parse
from tests.moving.world import ID, Life
from tools.fuzzing.choices import Choices

from .quiet import quiet
from .values import JSON, damaged

SECRET: Final = "payload-of-the-client"
BOUND: Final = 4
"""The hub's ``send_buffer``."""
BEYOND: Final = 3
"""Its ``max_requests``: by so many frames answers may pass the bound."""
NOT_ON_THE_WIRE: Final = frozenset({CloseCode.NO_STATUS, CloseCode.ABNORMAL})
CODES: Final = frozenset(CloseCode) - NOT_ON_THE_WIRE
EVENTS: Final = (
    "hi",
    "echo",
    "later",
    "raise",
    "$ack",
    "$hello",
    "$missed",
    "$rejected",
    "$replayed",
    "$",
    "",
)
NUMBERS: Final = (0, 1, 2, 3, 5, -1, 10**18, 10**18 + 1, 10**40, True, 1.0, "1", None)
READERS: Final[tuple[Callable[[Message], Any], ...]] = (
    v1.read_hello,
    v1.read_ack,
    v1.read_missed,
    v1.read_rejected,
)

SEEDS: Final = (
    b"",
    bytes(12),
    bytes([0, 1, 0, 0, 4, 0, 0, 2, 3, 0, 4, 9]),
    bytes(range(60)),
    bytes(range(60, 0, -1)),
)


def run(data: bytes) -> None:
    choices = Choices(data)
    with quiet() as lines:
        if choices.yes(4):
            _values(choices)
        else:
            _life(choices)
    assert not any(SECRET in line for line in lines), "the log has a client's payload"


# -- values alone -------------------------------------------------------------------------


def _values(choices: Choices) -> None:
    codec = JSONCodec()
    text = choices.damage(json.dumps(document(choices)).encode()).decode("utf-8", "replace")
    try:
        message = codec.decode(text)
    except Exception:  # (the contract of a codec: whatever it raises, it could not decode)
        return
    again = codec.encode(message)
    assert codec.decode(again) == message, "the codec reads its own text as another message"
    for read in READERS:
        with contextlib.suppress(v1.Malformed):
            read(Message(v1.HELLO, message.payload))


def document(choices: Choices) -> Any:
    """The JSON of a message, mostly a sound one."""
    event = choices.pick(EVENTS)
    said: dict[str, Any] = {"event": event, "payload": SECRET}
    if event == "$ack":
        said["payload"] = {"received": choices.pick(NUMBERS)}
    elif event.startswith("$"):
        said["payload"] = {
            name: choices.pick(NUMBERS)
            for name in ("from", "to", "number", "received", "replay_from", "max_message_size")
        } | {
            "window": {"messages": 1, "bytes": choices.pick(NUMBERS)},
            "connection_id": "a",
            "token": "t",
            "reason": "r",
        }
    elif choices.yes(3):
        said["payload"] = choices.pick(JSON)
    match choices.below(6):
        case 3:
            said["id"] = choices.pick(("a", "b", "x" * 128, "x" * 129, "", 1, None))
        case 4:
            said["re"] = choices.pick(("1", "2", "3", "a", "", 0))
        case 5:
            said |= {
                "re": choices.pick(("1", "2", "9")),
                "error": choices.pick(({"code": "no", "message": SECRET}, {}, 1)),
            }
    return damaged(said, choices) if choices.yes(6) else said


# -- a whole life -------------------------------------------------------------------------


def _life(choices: Choices) -> None:
    is_v1 = not choices.yes(4)
    window = choices.pick((None, None, 300))
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=is_v1, window=window, send_buffer=BOUND, max_requests=BEYOND)
        for _ in range(25):
            if not choices.more:
                break
            _step(life, choices)
            _holds(life)
        story = life.end()
        assert lab.captured_log.bug is None, lab.captured_log.bug
    for told in story:
        if isinstance(told, bytes):
            _is_sound(told)


def _step(life: Life, choices: Choices) -> None:
    match choices.below(14):
        case 0 | 1 | 2 | 3:
            life.say(client_frame("text", json.dumps(document(choices)).encode()))
        case 4:
            text = json.dumps({"event": "$ack", "payload": {"received": choices.pick(NUMBERS)}})
            life.say(client_frame("text", text.encode()))
        case 5:
            text = json.dumps(document(choices)).encode()
            life.say(choices.damage(client_frame(choices.pick(("text", "binary")), text)))
        case 6:
            life.send("from the application", broadcast=choices.yes())
        case 7:
            life.ask("who?")
        case 8:
            life.drop()
        case 9:
            life.handled_by_client = choices.pick((0, 1, 2, 3, 10**18))
            _resume(life)
        case 10:
            life.wait(choices.pick((0.5, 1.1, 9.0, 20.5, 31.0)))
        case 11:
            life.move()
        case 12:
            life.read(choices.pick((1, 100, 1000)))
        case _:
            life.say(
                choices.pick(
                    (client_frame("ping", b"?"), client_frame("close", b"\x03\xe8"), client_frame("close"))
                )
            )


def _resume(life: Life) -> None:
    """Where it is refused, the connection of the other steps is the one before it."""
    before = _generation(life)
    wires = len(life.wires)
    life.resume()
    if len(life.wires) > wires and wires and _generation(life) == before is not None:
        life.wires.insert(0, life.wires.pop())


def _generation(life: Life) -> int | None:
    loop = life.hub.runner.loop
    assert loop is not None, "it was started"
    session = loop.machine.sessions.get(ID)
    return session.generation if session is not None else None


def _holds(life: Life) -> None:
    for hub in life.hubs:
        loop = hub.runner.loop
        assert loop is not None, "it was started"
        assert not (sentences := broken(loop.machine)), "; ".join(sentences)
        assert (sums := loop.ledger_totals.unbalanced()) is None, sums
        for session in list(loop.registry.sessions.values()):
            waiting = len(session.outbox) + session.outbox.held_frames
            assert waiting <= BOUND + BEYOND, f"{waiting} frames wait, and {BOUND + BEYOND} are allowed"


def _is_sound(told: bytes) -> None:
    head, _, wire = told.partition(b"\r\n\r\n")
    frames, _ = parse(wire)
    assert head.startswith(b"HTTP/1.1 101") or not told, "no 101 came first"
    for frame in frames:
        if frame.kind == "close":
            assert frame.code in CODES or not frame.payload, (
                f"a Close with {frame.code}, which no page speaks of"
            )
            assert len(frame.payload) <= 125, "a Close is small"
        elif frame.kind == "text":
            json.loads(frame.payload)
