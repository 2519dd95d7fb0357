"""One ordered connection between two processes of a folder: messages, and descriptors that belong to them.

A link has two Unix sockets. Messages go over a STREAM. Descriptors go over a SEQPACKET of their own, since a
STREAM would merge them with other bytes: one packet for a message, with the message's place in the order in
it, and it is sent before its message. So whoever has read a message finds its descriptors there.

``send`` never waits. What the kernel does not take is kept, in order, and written by the link's thread
(``link_thread.py``), which also reads. A peer that was stopped costs the sender memory, up to a bound; past
it the link is broken. Any thread, except where a method says otherwise. Read next: ``link_thread.py``.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import socket
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ..clock import now
from ..errors import LinkBroken
from ..runtime.base import Runtime
from .greetings import Greeting
from .link_codec import MOST_DESCRIPTORS, encode
from .link_turns import Turns, Waiter

MOST_WAITING_BYTES: Final = 128 * 1024 * 1024
"""Of messages that the kernel has not taken yet, on one link. With more, the link is broken."""

MOST_WAITING_DESCRIPTORS: Final = 1024
"""Of descriptors that the kernel has not taken yet, on one link. With more, the link is broken."""

NO_DESCRIPTOR: Final = -1
"""Stands for a descriptor that did not arrive: this process had no free one. Its sender still has it."""

_PLACE_BYTES: Final = 8

_MOST_AT_ONCE: Final = 1024 * 1024
# Bytes that are written before the lock is given away for a moment.

CLOSED_HERE: Final = "closed here"
"""``Link.why_ended`` behind ``close``."""

RETRY: Final = 0.01
"""Seconds until descriptors are sent again that would have exceeded the user's limit of those under way."""


class Link:
    """One end of it. ``peer``: who is at the other end. ``version``: of the messages, spoken by both."""

    def __init__(
        self, stream: socket.socket, packets: socket.socket, peer: Greeting, version: int, runtime: Runtime
    ) -> None:
        self.peer = peer
        self.version = version
        #: At a worker's end: the life of the hub at the other end.
        self.hub_life = ""
        #: Whether the hub at the other end has said that it has moved to another process.
        self.moved = False
        #: At the end: whether all was read that the peer had written, whole messages to the last one.
        self.read_to_its_end = False
        #: Rung when this end has something to write, or the link's thread has to read. For that thread.
        self.bell = runtime.bell()
        #: Who reads this end.
        self.turns = Turns(runtime, self._wake)
        self.stream = stream
        self.packets = packets
        stream.setblocking(False)
        packets.setblocking(False)
        self._lock = runtime.lock("a link")
        self._written = runtime.condition(self._lock)
        self._waiting: deque[_Piece] = deque()
        self._waiting_bytes = 0
        self._waiting_descriptors = 0
        self._packets_sent = 0
        self._packets_taken = 0
        self._broken = ""
        self._closed = False
        _links.add(self)

    def __repr__(self) -> str:
        return f"<Link to {self.peer.kind} {self.peer.pid}{' ' + self._broken if self._broken else ''}>"

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more. What the peer has sent may still be read."""
        return bool(self._broken)

    @property
    def why_ended(self) -> str:
        """Why, in a few words; ``""`` while it has not."""
        return self._broken

    # -- sending ----------------------------------------------------------------------------

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """Send a message, with copies of these descriptors; the caller still owns its own.

        Raises: LinkBroken; ValueError for a message that is too large or can't be encoded; OSError if the
        descriptors have to wait and this process has no free ones for copies (nothing was sent).
        Blocks: never.
        """
        data = encode(message, len(descriptors))
        with self._lock:
            if self._broken:
                raise LinkBroken(self._broken)
            if self._waiting:
                self._keep(data, descriptors)
                return
            written, packed = 0, not descriptors
            try:
                if descriptors:
                    packed = self._write_packet(descriptors) is None
                if packed:
                    written = self.stream.send(data, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                pass
            except OSError as error:
                self._break_now(f"the peer is gone ({error.strerror})")
                raise LinkBroken(self._broken) from None
            if written < len(data):
                self._keep(data[written:], () if packed else descriptors)
                self.bell.ring()

    def send_now(self, message: Any) -> bool:
        """Send a message if the kernel takes it now: then the peer can read it even if we are killed next.

        False: it does not, and the message is not sent. (Should it take a part, which a small message does
        not meet on Linux, the rest follows.) Raises: LinkBroken; ValueError. Blocks: never.
        """
        data = encode(message)
        with self._lock:
            if self._broken:
                raise LinkBroken(self._broken)
            if self._waiting:
                return False
            try:
                written = self.stream.send(data, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return False
            except OSError as error:
                self._break_now(f"the peer is gone ({error.strerror})")
                raise LinkBroken(self._broken) from None
            if written < len(data):
                self._keep(data[written:], ())
                self.bell.ring()
            return written == len(data)

    def wait_written(self, timeout: float) -> bool:
        """Whether all that was sent is written, so that the peer can read it even if we are killed now.

        Blocks: until then, until the link has ended, or ``timeout`` real seconds.
        """
        give_up = now() + timeout
        with self._lock:
            while self._waiting and not self._broken:
                left = give_up - now()
                if left <= 0 or not self._written.wait(left):
                    return not self._waiting
            return not self._waiting and not self._broken

    @property
    def waiting_bytes(self) -> int:
        """How much the kernel has not taken yet."""
        return self._waiting_bytes

    def waiter(self) -> Waiter:
        """For an answer that comes over this link: made before the question is sent, told by its handler."""
        return Waiter(self.turns)

    def close(self) -> None:
        """End the link, at both ends. Any number of times.

        What has been written is still read; what waits is lost. The link's thread handles what the peer had
        sent before, calls ``on_end`` and closes the descriptors.
        """
        self.break_off(CLOSED_HERE)

    def break_off(self, why: str) -> None:
        """End the link for a reason of ours; see ``close``."""
        with self._lock:
            self._break_now(why)

    # -- for the link's thread --------------------------------------------------------------

    def write_on(self) -> tuple[int, float | None]:
        """Write what waits, as far as the kernel takes it.

        Returns the descriptor that must be writable before more can be written, -1 for none; and the seconds
        after which to try again, None for never.
        """
        with self._lock:
            if self._closed:
                return -1, None
            self.bell.silence()
            try:
                return self._write_waiting()
            except OSError as error:
                self._break_now(f"the peer is gone ({error.strerror})")
                return -1, None

    def take_descriptors(self, count: int) -> tuple[int, ...]:
        """The descriptors of the message that was just read; ``NO_DESCRIPTOR`` for each that did not arrive.

        Raises: ValueError if the peer did not send them, or in the wrong order. The link's thread only.
        """
        self._packets_taken += 1
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        try:
            data, found, flags, _ = self.packets.recvmsg(64, room, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            raise ValueError("its descriptors were not sent before it") from None
        arrived = descriptors_in(found)
        whole = not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
        right = data == self._packets_taken.to_bytes(_PLACE_BYTES, "big")
        if not right or len(arrived) > count or (whole and len(arrived) < count):
            close_all(arrived)
            raise ValueError("its descriptors are others than it says")
        return (*arrived, *([NO_DESCRIPTOR] * (count - len(arrived))))

    def finish(self, why: str) -> None:
        """Close the descriptors. The link's thread, as the last thing that it does with the link."""
        with self._lock:
            self._break_now(why)
            if self._closed:
                return
            self._closed = True
            self._drop_waiting()
            self._close_descriptors()
        _links.discard(self)

    def after_fork_in_child(self) -> None:
        """In a forked child: the link is the parent's. Close the copies, shut nothing down, take no lock."""
        self._broken = self._broken or "it belongs to the parent process"
        if not self._closed:
            self._closed = True
            self._drop_waiting()
            self._close_descriptors()

    def _wake(self) -> None:
        """End a wait of the link's thread. The bell is rung, silenced and closed with the lock held.

        Else one thread could silence what another one is about to ring, or ring what is closed: its number
        may be another file's by then.
        """
        with self._lock:
            if not self._closed:
                self.bell.ring()

    # -- inside -----------------------------------------------------------------------------

    def _write_packet(self, descriptors: Sequence[int]) -> tuple[int, float | None] | None:
        """None if the kernel took them; else what ``write_on`` returns. With the lock held."""
        place = (self._packets_sent + 1).to_bytes(_PLACE_BYTES, "big")
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        try:
            self.packets.sendmsg([place], [rights], socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return self.packets.fileno(), None
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            return -1, RETRY
        self._packets_sent += 1
        return None

    def _keep(self, data: bytes, descriptors: Sequence[int]) -> None:
        piece = _Piece(memoryview(data), copies_of(descriptors))
        self._waiting.append(piece)
        self._waiting_bytes += len(data)
        self._waiting_descriptors += len(piece.copies)
        if self._waiting_bytes > MOST_WAITING_BYTES or self._waiting_descriptors > MOST_WAITING_DESCRIPTORS:
            self._break_now(
                f"the peer does not read: {self._waiting_bytes} bytes and {self._waiting_descriptors} "
                "descriptors wait for it"
            )
            raise LinkBroken(self._broken)

    def _write_waiting(self) -> tuple[int, float | None]:
        written_now = 0
        while self._waiting:
            if written_now > _MOST_AT_ONCE:
                return self.stream.fileno(), None  # who wants to send waits for the lock meanwhile
            piece = self._waiting[0]
            if piece.copies:
                wait = self._write_packet(piece.copies)
                if wait is not None:
                    return wait
                self._waiting_descriptors -= len(piece.copies)
                close_all(piece.copies)
                piece.copies = []
            try:
                written = self.stream.send(piece.data, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return self.stream.fileno(), None
            self._waiting_bytes -= written
            written_now += written
            piece.data = piece.data[written:]
            if not piece.data:
                self._waiting.popleft()
        self._written.notify_all()
        return -1, None

    def _break_now(self, why: str) -> None:
        """With the lock held."""
        if self._broken:
            return
        self._broken = why
        self._drop_waiting()
        self._written.notify_all()
        with contextlib.suppress(OSError):
            self.stream.shutdown(socket.SHUT_RDWR)

    def _drop_waiting(self) -> None:
        for piece in self._waiting:
            close_all(piece.copies)
        self._waiting.clear()
        self._waiting_bytes = self._waiting_descriptors = 0

    def _close_descriptors(self) -> None:
        self.stream.close()
        self.packets.close()
        self.bell.close()


class _Piece:
    """A message, or the rest of one, that waits to be written, with copies of its descriptors."""

    __slots__ = ("copies", "data")

    def __init__(self, data: memoryview, copies: list[int]) -> None:
        self.data = data
        self.copies = copies


def copies_of(descriptors: Sequence[int]) -> list[int]:
    """A copy of each, closed in programs that are started. Raises: OSError, and then there is none."""
    copies: list[int] = []
    try:
        copies.extend(os.dup(descriptor) for descriptor in descriptors)
    except OSError:
        close_all(copies)
        raise
    return copies


def close_all(descriptors: Sequence[int]) -> None:
    """Close them; ``NO_DESCRIPTOR`` is passed over."""
    for descriptor in descriptors:
        if descriptor != NO_DESCRIPTOR:
            os.close(descriptor)


def descriptors_in(found: list[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors in what ``recvmsg`` gave. Half a number at its end is none."""
    arrived = array.array("i")
    for level, kind, data in found:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            arrived.frombytes(data[: len(data) - len(data) % arrived.itemsize])
    return arrived.tolist()


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for link in list(_links):
        link.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
