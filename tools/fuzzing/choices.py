"""Bytes as a row of decisions: how a target makes an input with a shape out of what the fuzzer gives it.

The fuzzer changes bytes and knows no protocol. A target asks for numbers, members of a list and pieces of
bytes, so a changed byte is another decision: a longer message, another field, a cut at another place. Where
the bytes have ended, each decision is the first and simplest one. So a shorter row is a simpler input, and a
found one can be made smaller by leaving bytes out. Pure. Read next: ``targets/frames.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """``data``, from its beginning to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        """Whether there is anything left to decide by."""
        return self._at < len(self._data)

    def byte(self) -> int:
        if not self.more:
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1; 0 is the simplest."""
        number = self.byte()
        for _ in range((max(limit - 1, 1).bit_length() - 1) // 8):
            number = number << 8 | self.byte()
        return number % limit

    def yes(self, one_in: int = 2) -> bool:
        """One time in ``one_in``."""
        return self.below(one_in) == one_in - 1

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def size(self, most: int) -> int:
        """Mostly a small number, and seldom one up to ``most``."""
        small = self.byte()
        return min(small % 32, most) if small < 224 else self.below(most + 1)

    def bytes(self, most: int) -> bytes:
        """So many bytes of the row, as they are. They may be fewer than asked for, at its end."""
        size = self.size(most)
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def text(self, most: int) -> str:
        """Any text that JSON and UTF-8 can hold."""
        return self.bytes(most).decode("utf-8", "replace")

    def cut(self, data: bytes) -> list[bytes]:
        """``data`` in pieces, as a network might deliver it."""
        pieces, at = [], 0
        while at < len(data) and self.more:
            size = self.pick((1, 2, 3, 5, 7, 14, 64, 125, 200, 1000))
            pieces.append(data[at : at + size])
            at += size
        return [*pieces, data[at:]] if at < len(data) else pieces

    def damage(self, data: bytes) -> bytes:
        """``data`` with a few bytes changed, left out, doubled or put in; often none."""
        damaged = bytearray(data)
        for _ in range(self.pick((0, 0, 1, 1, 2, 4))):
            at = self.below(len(damaged) + 1)
            match self.below(5):
                case 0:
                    if at < len(damaged):
                        damaged[at] ^= 1 << self.below(8)
                case 1:
                    del damaged[at : at + 1 + self.size(20)]
                case 2:
                    damaged[at:at] = self.bytes(20)
                case 3:
                    damaged[at:at] = damaged[at : at + 1 + self.size(40)]
                case _:
                    if at < len(damaged):
                        damaged[at] = self.pick((0x00, 0xFF, 0x7F, 0x80, 0x22, 0x5B))
        return bytes(damaged)
