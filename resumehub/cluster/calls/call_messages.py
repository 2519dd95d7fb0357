"""The messages of calls that cross a link, by number (10 to 39), and their bytes.

A call has a number of its process, by which it is executed at most once, however often it is sent. A
``SendCall``, a ``BroadcastCall`` and an answer with nothing in it are packed by hand: as JSON they would take
longer than all the rest of their way. Calls with few plain fields have a short form (``short_form.py``).
Everything else is plain values. The first byte says which form it is.
Nothing in the bytes is believed: lengths are checked, and whatever can't be read is a ``PlainValueError``.
Pure; any thread. Read next: ``call_bodies.py``, ``../link_codec.py``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ...session.plain_values import PlainValueError, dump, load
from . import call_bodies as b
from .call_bodies import Asked, BroadcastCall, Done, FrameValue, Result, SendCall
from .short_form import ShortForms


@dataclass(frozen=True, slots=True)
class Call:
    """Worker to hub. ``number``: of this process's calls, each greater than all before it.

    ``taken``: numbers whose answers have come since the last call; the hub forgets them.
    """

    number: int
    taken: tuple[int, ...]
    asked: Asked

    def to_bytes(self) -> bytes:
        """Raises: PlainValueError if it can't be encoded."""
        try:
            return _pack_call(self)
        except struct.error:
            raise _no_place(self) from None

    @staticmethod
    def from_bytes(data: bytes) -> Call:
        """Raises: PlainValueError."""
        return _unpack_call(data)


@dataclass(frozen=True, slots=True)
class Answer:
    """Hub to worker: the result of the call with this number."""

    number: int
    result: Result

    def to_bytes(self) -> bytes:
        """Raises: PlainValueError if it can't be encoded."""
        try:
            return _pack_answer(self)
        except struct.error:
            raise _no_place(self) from None

    @staticmethod
    def from_bytes(data: bytes) -> Answer:
        """Raises: PlainValueError."""
        return _unpack_answer(data)


@dataclass(frozen=True, slots=True)
class CallsGoOn:
    """Worker to hub, first on a link: the numbers that still wait for an answer; all others are forgotten."""

    waiting: tuple[int, ...]


MESSAGES: Final[dict[int, type]] = {10: Call, 11: Answer, 12: CallsGoOn}
"""Number → class of the message. A number is never used for another one."""

# -- their bytes --------------------------------------------------------------------------

_PLAIN: Final = b"\x00"
_SEND: Final = 1
_BROADCAST: Final = 2
_DONE: Final = 1
_SHORT: Final = 3

#: Form, number of the call, how many numbers follow.
_HEAD: Final = struct.Struct(">BQH")
_NUMBER: Final = struct.Struct(">Q")
_DONE_ANSWER: Final = struct.Struct(">BQ")
#: Lengths of id and life; whether the frame is text.
_SEND_HEAD: Final = struct.Struct(">II?")
#: How many rooms and how many who are excluded; whether the frame is text.
_BROADCAST_HEAD: Final = struct.Struct(">HH?")
_LENGTH: Final = struct.Struct(">I")

_SHORT_CALLS: Final = ShortForms(
    *(b.KickCall, b.KickUserCall, b.CutCall, b.CloseCall, b.JoinCall, b.LeaveCall, b.WaitClosedCall),
    *(b.UndeliveredCall, b.LookCall, b.LookAtRoomCall, b.LookAtUserCall, b.IdsCall, b.CountCall),
    *(b.RoomsCall, b.StatsCall, b.EndAllCall, b.SetDrainCall),
)
_SHORT_RESULTS: Final = ShortForms(b.Counted, b.Whether, b.Named, b.MarkWanted)

_MOST: Final = 0xFFFF
_DONE_RESULT: Final = Done()


def _pack_call(call: Call) -> bytes:
    """The bytes of a call. Raises: PlainValueError if it can't be encoded."""
    asked, taken = call.asked, call.taken
    if len(taken) <= _MOST:
        if type(asked) is SendCall:
            return _pack_send(call.number, taken, asked)
        if (
            type(asked) is BroadcastCall
            and asked.marked is None
            and not asked.counts
            and len(asked.room_ids) <= _MOST
            and len(asked.excluded) <= _MOST
        ):
            return _pack_broadcast(call.number, taken, asked)
        if (short := _SHORT_CALLS.to_bytes(asked)) is not None:
            head = _HEAD.pack(_SHORT, call.number, len(taken))
            return b"".join((head, *map(_NUMBER.pack, taken), short))
    return _PLAIN + dump(call)


def _no_place(message: Call | Answer) -> PlainValueError:
    return PlainValueError(f"a {type(message).__name__} has a number that does not fit into 64 bits")


def _unpack_call(data: bytes) -> Call:
    """The call in ``data``. Raises: PlainValueError."""
    if data[:1] == _PLAIN:
        return load(Call, data[1:])
    try:
        form, number, count = _HEAD.unpack_from(data)
        at = _HEAD.size + count * _NUMBER.size
        taken: tuple[int, ...] = ()
        if count == 1:  # as most have
            taken = _NUMBER.unpack_from(data, _HEAD.size)
        elif count:
            taken = struct.unpack_from(f">{count}Q", data, _HEAD.size)
        if form == _SEND:
            return Call(number, taken, _unpack_send(data, at))
        if form == _BROADCAST:
            return Call(number, taken, _unpack_broadcast(data, at))
        if form == _SHORT:
            return Call(number, taken, _SHORT_CALLS.from_bytes(data, at))
    except (struct.error, UnicodeDecodeError):
        raise PlainValueError("the call is cut off, or a name in it is not UTF-8") from None
    raise PlainValueError(f"there is no call of the form {form}")


def _pack_answer(answer: Answer) -> bytes:
    """The bytes of an answer. Raises: PlainValueError if it can't be encoded."""
    if type(answer.result) is Done:
        return _DONE_ANSWER.pack(_DONE, answer.number)
    if (short := _SHORT_RESULTS.to_bytes(answer.result)) is not None:
        return _DONE_ANSWER.pack(_SHORT, answer.number) + short
    return _PLAIN + dump(answer)


def _unpack_answer(data: bytes) -> Answer:
    """The answer in ``data``. Raises: PlainValueError."""
    if data[:1] == _PLAIN:
        return load(Answer, data[1:])
    if len(data) > _DONE_ANSWER.size and data[0] == _SHORT:
        number = _DONE_ANSWER.unpack_from(data)[1]
        return Answer(number, _SHORT_RESULTS.from_bytes(data, _DONE_ANSWER.size))
    if len(data) != _DONE_ANSWER.size or data[0] != _DONE:
        raise PlainValueError("the answer is cut off, or has another form")
    return Answer(_DONE_ANSWER.unpack(data)[1], _DONE_RESULT)


def _pack_send(number: int, taken: tuple[int, ...], asked: SendCall) -> bytes:
    who, life = _text(asked.connection_id), _text(asked.life)
    return b"".join(
        (
            _HEAD.pack(_SEND, number, len(taken)),
            *map(_NUMBER.pack, taken),
            _SEND_HEAD.pack(len(who), len(life), asked.frame.text),
            who,
            life,
            asked.frame.payload,
        )
    )


def _unpack_send(data: bytes, at: int) -> SendCall:
    who, life, text = _SEND_HEAD.unpack_from(data, at)
    at += _SEND_HEAD.size
    behind = at + who + life
    if behind > len(data):
        raise PlainValueError("a send is cut off")
    connection_id = data[at : at + who].decode("utf-8", "surrogatepass")
    return SendCall(
        connection_id,
        data[at + who : behind].decode("utf-8", "surrogatepass"),
        FrameValue(text, data[behind:]),
    )


def _pack_broadcast(number: int, taken: tuple[int, ...], asked: BroadcastCall) -> bytes:
    parts = [_HEAD.pack(_BROADCAST, number, len(taken)), *map(_NUMBER.pack, taken)]
    parts.append(_BROADCAST_HEAD.pack(len(asked.room_ids), len(asked.excluded), asked.frame.text))
    for name in (*asked.room_ids, *asked.excluded):
        encoded = _text(name)
        parts += _LENGTH.pack(len(encoded)), encoded
    parts.append(asked.frame.payload)
    return b"".join(parts)


def _unpack_broadcast(data: bytes, at: int) -> BroadcastCall:
    rooms, excluded, text = _BROADCAST_HEAD.unpack_from(data, at)
    at += _BROADCAST_HEAD.size
    names = []
    for _ in range(rooms + excluded):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise PlainValueError("a broadcast is cut off")
        names.append(data[at : at + length].decode("utf-8", "surrogatepass"))
        at += length
    return BroadcastCall(tuple(names[:rooms]), FrameValue(text, data[at:]), tuple(names[rooms:]))


def _text(name: str) -> bytes:
    # Any str may be asked for, also one that is no valid Unicode: it finds nobody.
    return name.encode("utf-8", "surrogatepass")
