"""Frames as they are on the wire, for tests that look at bytes: both directions, sound or broken.

Knows RFC 6455 §5 and nothing else; written apart from the library that the real transport uses, so
that each checks the other. Pure. Used by ``memory.py`` and by test code.
"""

from __future__ import annotations

from dataclasses import dataclass

OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
_KINDS = {number: kind for kind, number in OPCODES.items()}


@dataclass(frozen=True)
class WireFrame:
    """One frame that a server wrote: its kind (a name in ``OPCODES``) and payload."""

    kind: str
    payload: bytes

    @property
    def text(self) -> str:
        return self.payload.decode()

    @property
    def code(self) -> int:
        """A close frame's code, 1005 if it has none."""
        return int.from_bytes(self.payload[:2]) if self.payload else 1005

    @property
    def reason(self) -> str:
        return self.payload[2:].decode()

    def __str__(self) -> str:
        """``text hello``, ``pong``, ``close 1000 kicked``: short enough to compare whole streams by."""
        shown = (
            f"{self.code} {self.reason}" if self.kind == "close" else self.payload.decode(errors="replace")
        )
        return f"{self.kind} {shown}".strip()


def client_frame(
    kind: str | int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x11\x22\x33\x44",
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """A frame as a client sends it, or should not.

    ``kind``: a name or a number. ``rsv``: the reserved bits, 4 for the first. ``mask`` None: unmasked.
    ``length``: what the header says, if that is not the truth. ``length_bytes``: 0, 2 or 8, if not the
    fewest that do.
    """
    opcode = OPCODES[kind] if isinstance(kind, str) else kind
    said = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if said <= 125 else 2 if said <= 0xFFFF else 8
    short = {0: said, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short])
    head += said.to_bytes(length_bytes) if length_bytes else b""
    if mask is None:
        return head + payload
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + masked


def server_frame(kind: str, payload: bytes, *, rsv1: bool = False) -> bytes:
    """A sound frame as a server sends it: whole and unmasked."""
    frame = client_frame(kind, payload, mask=None, rsv=4 if rsv1 else 0)
    assert kind not in ("close", "ping", "pong") or len(payload) <= 125, "a control frame is small"
    return frame


def parse(wire: bytes, *, serials: bool = False) -> tuple[list[WireFrame], bytes]:
    """The frames in what a server wrote, and the beginning of one that is not whole yet.

    ``serials``: data frames begin with a number of four bytes that must go up by one.
    Raises: AssertionError for anything that a sound server does not write (fragments included: ours
    makes none), and for bytes behind a close frame.
    """
    frames: list[WireFrame] = []
    last = 0
    while (end := _end_of_frame(wire)) is not None:
        assert not frames or frames[-1].kind != "close", "nothing follows a close frame"
        start, size = end
        payload = wire[start : start + size]
        kind = _KINDS.get(wire[0] & 0x0F, "")
        assert wire[0] & 0x80, f"a fragment: {wire[:2].hex()}"
        assert kind not in ("", "continuation"), f"no such frame: {wire[:2].hex()}"
        numbered = serials and kind in ("text", "binary")
        assert bool(wire[0] & 0x70) == numbered, f"a reserved bit: {wire[:2].hex()}"
        if numbered:
            serial, payload = int.from_bytes(payload[:4]), payload[4:]
            assert serial == last + 1, (
                f"frame {serial} comes behind {last}: one that was made was not written"
            )
            last = serial
        frames.append(WireFrame(kind, payload))
        wire = wire[start + size :]
    return frames, wire


def _end_of_frame(wire: bytes) -> tuple[int, int] | None:
    """Where the payload of the first frame starts, and its size; None if it is not all there."""
    if len(wire) < 2:
        return None
    assert not wire[1] & 0x80, "a server does not mask"
    short = wire[1] & 0x7F
    extra = {126: 2, 127: 8}.get(short, 0)
    if len(wire) < 2 + extra:
        return None
    size = int.from_bytes(wire[2 : 2 + extra]) if extra else short
    return (2 + extra, size) if len(wire) >= 2 + extra + size else None
