"""The bytes of one transport that are written next, and how many of them the kernel has taken.

Order on the wire: what has begun; then a close frame that ends only the transport; pings and pongs; the
session's frames; a close frame that ends the session. After a close frame, nothing.

A frame is *begun* with its first byte, and *written* when the kernel has taken its last. Frames stay in the
outbox until they are written. Here are only bytes: of the frames that are offered to the kernel now, and of
control frames. A plain data structure without a lock: ``transport_writer.py`` calls it with the session's
lock held, on any thread. Read next: ``transport_writer.py``, ``outbox.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field

from ..message import Frame
from ..transport.base import Transport
from .items import Item
from .outbox import Outbox

# For one system call: enough to fill a socket buffer, few enough to stay below IOV_MAX.
BATCH_FRAMES = 64
BATCH_BYTES = 64 * 1024
# A peer that sends pings and never reads gets only the newest answers (RFC 6455 §5.5.3 allows it).
MAX_LANE = 16


Write = Callable[[Sequence[bytes | memoryview]], int]
"""``Transport.write``."""


@dataclass(frozen=True, slots=True)
class WireState:
    """A half-written stream: what another process needs to go on at the exact byte.

    ``rest``: the bytes that must come next. ``rest_is_frame``: they are the end of the outbox's first item;
    otherwise they belong to no item of it. ``lane``: control frames that wait, as wire bytes.
    """

    rest: bytes = b""
    rest_is_frame: bool = False
    lane: tuple[bytes, ...] = ()


_NOTHING = WireState()


@dataclass(slots=True, eq=False, repr=False)
class WireQueue:
    """See the module. The caller holds the session's lock. Nothing here blocks."""

    _transport: Transport
    first: InitVar[bytes]
    pieces: deque[bytes | memoryview] = field(default_factory=deque)
    #: How many of the pieces are whole items of the outbox, in order.
    frames_in_pieces: int = 0
    #: Whether the first piece is the rest of an item of the outbox.
    begun_frame: bool = False
    #: Pings and pongs.
    lane: deque[bytes] = field(default_factory=deque)
    close: bytes | None = None
    close_after_data: bool = False
    close_in_pieces: bool = False
    #: Whether the kernel has taken the close frame.
    closed: bool = False

    def __post_init__(self, first: bytes) -> None:
        if first:
            self.pieces.append(first)

    def add_control(self, wire: bytes) -> bool:
        """Queue a ping or a pong; False if a close frame comes first."""
        # While a close frame waits behind data, the peer's pings are still answered.
        if (self.close is not None and not self.close_after_data) or self.close_in_pieces:
            return False
        if len(self.lane) >= MAX_LANE:
            self.lane.pop()
        self.lane.append(wire)
        return True

    def begin(self, rest: memoryview, outbox: Outbox) -> None:
        """The first item of the outbox has begun; ``rest`` is what the kernel has not taken."""
        self.pieces.append(rest)
        self.frames_in_pieces = 1
        self.begun_frame = outbox.started = True

    def write_all_at_once(self, write: Write, outbox: Outbox) -> list[int]:
        """The usual case: frames wait, and the kernel takes all of them at once. Returns their sizes.

        ``write``: the transport's. Nothing else may wait here.
        """
        sizes: list[int] = []
        if not (frames := outbox.all_frames(BATCH_BYTES)):
            return sizes
        encode = self._transport.encode
        wires = [frame.wire or encode(frame) for frame in frames]
        wire = b"".join(wires)
        try:
            taken = write((wire,))
        except OSError:
            return sizes  # the writer's next write gets the error again, and reports it
        if taken == len(wire):
            sizes = [frame.size for frame in frames]
            outbox.written_frames(frames, sizes)
        elif taken:
            self.pieces.extend(wires)
            self.frames_in_pieces = len(frames)
            self.account(taken, outbox, sizes)
        return sizes

    def choose(self, outbox: Outbox | None) -> bool:
        """Fill ``pieces`` with what goes next; False if nothing is to be sent."""
        if self.close is not None and not self.close_after_data:
            self._take_close(self.close)
        elif self.lane:
            self.pieces.extend(self.lane)
            self.lane.clear()
        elif outbox is not None and outbox.unsent and self._take_batch(outbox):
            pass
        elif self.close is not None and (outbox is None or not outbox.unsent):
            self._take_close(self.close)
        return bool(self.pieces)

    def _take_batch(self, outbox: Outbox) -> bool:
        batch = outbox.first(1 if self._transport.stateful else BATCH_FRAMES, BATCH_BYTES)
        for item in batch:
            self.pieces.append(self._transport.encode(_frame_of(item)))
        self.frames_in_pieces = len(batch)
        # Compressed bytes, once made, must be sent: the peer's decompressor depends on them.
        self.begun_frame = outbox.started = self._transport.stateful and bool(batch)
        return bool(batch)

    def _take_close(self, close: bytes) -> None:
        self.pieces.append(close)
        self.close_in_pieces = True

    def account(self, taken: int, outbox: Outbox | None, sizes: list[int]) -> None:
        """The kernel has taken ``taken`` bytes; add the size of each frame now written to ``sizes``."""
        while taken:
            piece = self.pieces[0]
            if taken < len(piece):
                self.pieces[0] = memoryview(piece)[taken:]
                if self.frames_in_pieces and outbox is not None:
                    self.begun_frame = outbox.started = True
                return
            taken -= len(piece)
            self.pieces.popleft()
            if self.frames_in_pieces:
                self.frames_in_pieces -= 1
                self.begun_frame = False
                if outbox is not None and isinstance(item := outbox.written(), Frame):
                    sizes.append(item.size)
            elif self.close_in_pieces and not self.pieces:
                self.closed = True

    def forget_unbegun(self) -> None:
        """Remove the items of which no byte was taken; the outbox still has them."""
        if self.frames_in_pieces:
            keep = int(self.begun_frame)
            while len(self.pieces) > keep:
                self.pieces.pop()
            self.frames_in_pieces = keep

    def part_with_outbox(self) -> None:
        """The outbox goes to another transport: what has begun is finished here, from a copy."""
        self.forget_unbegun()
        self.frames_in_pieces = 0  # what is left of a frame is now just bytes of this stream
        self.begun_frame = False

    def clear(self, outbox: Outbox | None) -> None:
        """Nothing more can be written; an item that has begun is unwritten, and stays in the outbox."""
        self.pieces.clear()
        self.lane.clear()
        self.frames_in_pieces = 0
        if self.begun_frame and outbox is not None:
            outbox.started = False
        self.begun_frame = False

    def export(self) -> WireState:
        """What is half written, as a value. No close frame may be due."""
        assert self.close is None, "a transport that closes is not moved"
        self.forget_unbegun()
        if not (self.pieces or self.lane or self.begun_frame):
            return _NOTHING
        return WireState(b"".join(self.pieces), self.begun_frame, tuple(self.lane))

    def restore(self, state: WireState, outbox: Outbox) -> None:
        """Go on from what ``export`` returned; nothing has been queued here yet."""
        self.lane.extend(state.lane)
        if state.rest_is_frame:
            self.begin(memoryview(state.rest), outbox)
        elif state.rest:
            self.pieces.append(state.rest)


def _frame_of(item: Item) -> Frame:
    frame = item if isinstance(item, Frame) else item.frame
    assert frame is not None, "a gap is sent only once its frame is encoded"
    return frame
