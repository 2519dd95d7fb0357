"""What every transport must do, one small check for each thing.

A check is named after its clause in ``transport/base.py``.

A check gets a ``Bench``: a transport and its peer, fresh. ``CHECKS`` is all of them; run each on
each kind of transport (``test_conformance.py`` does). A new transport needs a bench and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from resumehub.message import Frame, Opcode
from resumehub.testing import WireFrame
from resumehub.transport.base import (
    CloseReceived,
    DataReceived,
    Ended,
    Failed,
    Parted,
    PingReceived,
    PongReceived,
    Received,
    Transport,
)
from tests.support import Call

MAX_MESSAGE_SIZE = 1000
"""What the transport of a bench must have been given."""

HELLO = Frame(Opcode.TEXT, b"hello")


class Bench(Protocol):
    """A transport with a peer to play with. None of the peer's methods may wait for the transport."""

    transport: Transport
    #: Whether ``finish_writing`` is more than a wish (under TLS it is not).
    can_finish: bool

    def send(self, *said: str | bytes | Received) -> None:
        """Send these at once: messages, pings, pongs, a close frame."""

    def send_in_fragments(self, pieces: Sequence[str], ping: bytes | None = None) -> None:
        """Send one text message in pieces, with a Ping between each two if there is a payload for it."""

    def send_bad(self, code: int) -> None:
        """Break the protocol in a way that is answered with ``code``: 1002, 1007 or 1009."""

    def hang_up(self) -> None:
        """Leave without a close frame, for good."""

    def read_frames(self, count: int) -> list[WireFrame]:
        """Read until ``count`` frames have been read in all; give all."""

    def read_to_end(self) -> list[WireFrame]:
        """Read until the transport has said that nothing follows; give all frames."""

    def successor(self) -> Transport:
        """The transport of another process that is given the connection, and what this one has not read."""

    def holds_descriptor(self) -> bool:
        """Whether the transport has its descriptor still."""


# -- T1, T2: what is reported ------------------------------------------------------------------


def check_t1_receive_waits_for_input(bench: Bench) -> None:
    receiving = Call(bench.transport.receive)
    bench.send("hello")
    assert receiving.result() == [DataReceived("hello", 5)]


def check_t1_input_comes_in_the_order_of_arrival(bench: Bench) -> None:
    ping, pong, close = PingReceived(b"1"), PongReceived(), CloseReceived(1001, "bye")
    bench.send("a", ping, b"b", pong, "", close)
    a, b, empty = DataReceived("a", 1), DataReceived(b"b", 1), DataReceived("", 0)
    assert receive(bench, 6) == [a, ping, b, pong, empty, close]


def check_t1_a_close_frame_without_a_code_is_1005(bench: Bench) -> None:
    bench.send(CloseReceived(1005, ""))
    assert receive(bench, 1) == [CloseReceived(1005, "")]


def check_t2_a_message_is_reported_once_and_whole(bench: Bench) -> None:
    bench.send_in_fragments(["Grü", "", "ße", ""])
    assert receive(bench, 1) == [DataReceived("Grüße", 7)]


def check_t2_a_ping_inside_a_message_is_reported_before_it(bench: Bench) -> None:
    bench.send_in_fragments(["so", " ", "long"], ping=b"still there?")
    ping = PingReceived(b"still there?")
    assert receive(bench, 3) == [ping, ping, DataReceived("so long", 7)]


def check_t2_the_message_after_a_fragmented_one_is_its_own(bench: Bench) -> None:
    bench.send_in_fragments(["one", " and a half"], ping=b"")
    bench.send("two")
    assert receive(bench, 3)[1:] == [DataReceived("one and a half", 14), DataReceived("two", 3)]


# -- T3, T4: what is refused, and the end ------------------------------------------------------


def check_t3_a_message_of_the_largest_size_is_welcome(bench: Bench) -> None:
    largest = "é" * (MAX_MESSAGE_SIZE // 2)
    bench.send(largest)
    assert receive(bench, 1) == [DataReceived(largest, MAX_MESSAGE_SIZE)]


def check_t3_a_message_beyond_it_is_1009(bench: Bench) -> None:
    bench.send("é" * (MAX_MESSAGE_SIZE // 2) + "x")
    assert_failed(bench, 1009)


def check_t3_each_breach_has_its_code_1002(bench: Bench) -> None:
    bench.send_bad(1002)
    assert_failed(bench, 1002)


def check_t3_each_breach_has_its_code_1007(bench: Bench) -> None:
    bench.send_bad(1007)
    assert_failed(bench, 1007)


def check_t4_after_a_failure_comes_only_the_end(bench: Bench) -> None:
    bench.send("before")
    bench.send_bad(1002)
    bench.send("after", PingReceived(b""))
    bench.hang_up()
    before, failed, end = receive(bench, 3)
    assert before == DataReceived("before", 6)
    assert isinstance(failed, Failed)
    assert isinstance(end, Ended)


def check_t4_after_a_close_frame_comes_only_the_end(bench: Bench) -> None:
    bench.send(CloseReceived(4000, "enough"), "one more thing")
    bench.hang_up()
    close, end = receive(bench, 2)
    assert close == CloseReceived(4000, "enough")
    assert isinstance(end, Ended)


def check_t4_after_the_end_comes_the_end(bench: Bench) -> None:
    bench.hang_up()
    first, second = receive(bench, 2)
    assert isinstance(first, Ended)
    assert isinstance(second, Ended)


# -- T5, T6: writing ---------------------------------------------------------------------------


def check_t5_what_is_written_arrives(bench: Bench) -> None:
    transport = bench.transport
    pieces = [transport.encode_ping(), transport.encode(HELLO), transport.encode_close(1000, "bye")]
    for piece in pieces:
        write_all(transport, piece)
    assert [str(frame) for frame in bench.read_frames(3)] == ["ping", "text hello", "close 1000 bye"]


def check_t5_several_pieces_go_at_once(bench: Bench) -> None:
    """More of them than one system call may carry."""
    transport = bench.transport
    pieces = [transport.encode_pong(b"%d" % number) for number in range(1500)]
    while pieces:
        taken = transport.write(pieces)
        assert taken, "1500 small frames fit into any buffer"
        while pieces and taken >= len(pieces[0]):
            taken -= len(pieces.pop(0))
        if taken:
            pieces[0] = pieces[0][taken:]
    assert [frame.text for frame in bench.read_frames(1500)] == [str(number) for number in range(1500)]


def check_t5_write_takes_nothing_when_the_peer_does_not_read(bench: Bench) -> None:
    full = fill(bench.transport)
    assert full.frames > 0
    assert bench.transport.write([full.rest]) == 0


def check_t5_write_raises_once_the_peer_is_gone(bench: Bench) -> None:
    bench.hang_up()
    assert_write_raises(bench.transport)


def check_t6_waiting_ends_when_the_peer_reads(bench: Bench) -> None:
    transport = bench.transport
    full = fill(transport)
    waiting = Call(transport.wait_writable)
    writing = Call(lambda: write_all(transport, full.rest, after=waiting))
    frames = bench.read_frames(full.frames + 1)
    writing.result()
    assert {frame.payload for frame in frames} == {full.payload}


def check_t6_waiting_ends_when_the_peer_goes(bench: Bench) -> None:
    full = fill(bench.transport)
    waiting = Call(bench.transport.wait_writable)
    bench.hang_up()
    waiting.result()
    assert_write_raises(bench.transport, full.rest)


def check_t6_waiting_ends_with_abort(bench: Bench) -> None:
    fill(bench.transport)
    waiting = Call(bench.transport.wait_writable)
    bench.transport.abort()
    waiting.result()


# -- T7 to T10: leaving ------------------------------------------------------------------------


def check_t7_abort_frees_a_receiver(bench: Bench) -> None:
    receiving = Call(bench.transport.receive)
    bench.transport.abort()
    assert isinstance(receiving.result()[-1], Ended)


def check_t7_abort_can_be_repeated_and_keeps_the_descriptor(bench: Bench) -> None:
    for abort in [Call(bench.transport.abort) for _ in range(5)]:
        abort.result()
    bench.transport.abort()
    assert bench.holds_descriptor()
    assert isinstance(receive(bench, 1)[0], Ended)
    bench.transport.wait_writable()
    assert_write_raises(bench.transport)


def check_t8_release_gives_the_descriptor_back(bench: Bench) -> None:
    bench.transport.abort()
    bench.transport.release()
    assert not bench.holds_descriptor()


def check_t9_a_quiet_peer_has_not_hung_up(bench: Bench) -> None:
    assert not bench.transport.has_hung_up()
    receiving = Call(bench.transport.receive)
    assert not bench.transport.has_hung_up()
    bench.send("here")
    assert receiving.result() == [DataReceived("here", 4)]


def check_t9_a_peer_that_has_gone_has_hung_up(bench: Bench) -> None:
    bench.hang_up()
    assert bench.transport.has_hung_up()
    assert isinstance(receive(bench, 1)[0], Ended)


def check_t9_looking_loses_no_byte(bench: Bench) -> None:
    bench.send("before I go", "…")
    assert not bench.transport.has_hung_up()
    assert not bench.transport.has_hung_up()
    assert receive(bench, 2) == [DataReceived("before I go", 11), DataReceived("…", 3)]
    bench.hang_up()
    assert bench.transport.has_hung_up()


def check_t9_what_came_before_the_hang_up_can_be_read(bench: Bench) -> None:
    bench.send("my last words")
    bench.hang_up()
    bench.transport.has_hung_up()
    last, end = receive(bench, 2)
    assert last == DataReceived("my last words", 13)
    assert isinstance(end, Ended)


def check_t10_the_peer_sees_the_end_and_is_still_heard(bench: Bench) -> None:
    transport = bench.transport
    write_all(transport, transport.encode_close(1002, "nonsense"))
    transport.finish_writing()
    frames = bench.read_to_end() if bench.can_finish else bench.read_frames(1)
    assert [str(frame) for frame in frames] == ["close 1002 nonsense"]
    bench.send(CloseReceived(1002, ""))
    assert receive(bench, 1) == [CloseReceived(1002, "")]


# -- T11: encoding -----------------------------------------------------------------------------


def check_t11_frames_arrive_as_they_were(bench: Bench) -> None:
    """Whatever the encoder remembers: repeated, large and empty ones in both kinds."""
    frames = [HELLO, Frame(Opcode.TEXT, b""), HELLO, Frame(Opcode.BINARY, bytes(range(256)) * 300), HELLO]
    for frame in frames:
        write_all(bench.transport, bench.transport.encode(frame))
    kinds = [(frame.kind.upper(), frame.payload) for frame in bench.read_frames(len(frames))]
    assert kinds == [(frame.opcode.name, frame.payload) for frame in frames]


def check_t11_a_stateless_encoder_is_pure(bench: Bench) -> None:
    """A frame may be encoded, not written, and encoded again on another transport."""
    transport = bench.transport
    if not transport.stateful:
        assert transport.encode(HELLO) == transport.encode(Frame(Opcode.TEXT, b"hello"))
    assert transport.encode_ping() == transport.encode_ping()
    assert transport.encode_pong(b"x") == transport.encode_pong(b"x")
    assert transport.encode_close(1000, "") == transport.encode_close(1000, "")


def check_t11_a_close_reason_that_is_too_long_is_cut_between_characters(bench: Bench) -> None:
    write_all(bench.transport, bench.transport.encode_close(4000, "é" * 100))
    assert bench.read_frames(1)[0].reason == "é" * 61


def check_t11_a_close_frame_without_a_code_is_empty(bench: Bench) -> None:
    write_all(bench.transport, bench.transport.encode_close(1005, ""))
    assert bench.read_frames(1)[0].payload == b""


# -- T12 to T14: leaving the connection to another process -------------------------------------


def check_t12_part_frees_a_receiver(bench: Bench) -> None:
    if not bench.transport.movable:
        return
    receiving = Call(bench.transport.receive)
    bench.transport.part()
    assert receiving.result() == [Parted()]
    assert receive(bench, 1) == [Parted()], "for good"


def check_t12_part_frees_one_that_waits_for_the_peer_to_read(bench: Bench) -> None:
    if not bench.transport.movable:
        return
    fill(bench.transport)
    waiting = Call(bench.transport.wait_writable)
    bench.transport.part()
    waiting.result()


def check_t12_the_peer_notices_nothing(bench: Bench) -> None:
    """Abort and release behind it do nothing to the connection, which is another's by now."""
    if not bench.transport.movable:
        return
    write_all(bench.transport, bench.transport.encode(HELLO))
    bench.transport.part()
    heir = bench.successor()
    bench.transport.abort()
    bench.transport.release()
    write_all(heir, heir.encode(Frame(Opcode.TEXT, b"still here")))
    assert [frame.text for frame in bench.read_frames(2)] == ["hello", "still here"]
    bench.send("you, too")
    assert heir.receive() == [DataReceived("you, too", 8)]
    assert not heir.has_hung_up()


def check_t12_what_cannot_be_moved_says_so(bench: Bench) -> None:
    if bench.transport.stateful:
        assert not bench.transport.movable


def check_t13_what_was_not_read_is_there_for_the_next(bench: Bench) -> None:
    if not bench.transport.movable:
        return
    bench.send("one")
    assert receive(bench, 1) == [DataReceived("one", 3)]
    bench.send("two", PingReceived(b"?"), "three")
    bench.transport.part()
    assert receive(bench, 1) == [Parted()], "it reads no more, whatever is there"
    heir, events = bench.successor(), list[Received]()
    while len(events) < 3:
        events += heir.receive()
    assert events == [DataReceived("two", 3), PingReceived(b"?"), DataReceived("three", 5)]


def check_t14_rejoin_goes_on_as_if_nothing_had_been(bench: Bench) -> None:
    if not bench.transport.movable:
        return
    receiving = Call(bench.transport.receive)
    bench.transport.part()
    receiving.result()
    bench.transport.rejoin()
    again = Call(bench.transport.receive)
    bench.send("back")
    assert again.result() == [DataReceived("back", 4)]
    write_all(bench.transport, bench.transport.encode(HELLO))
    assert [frame.text for frame in bench.read_frames(1)] == ["hello"]
    bench.transport.abort()
    assert isinstance(receive(bench, 1)[0], Ended), "abort works again"


# -- tools -------------------------------------------------------------------------------------


def receive(bench: Bench, count: int) -> list[Received]:
    """Receive until there are ``count`` events; there must not be more."""
    events: list[Received] = []
    while len(events) < count:
        more = bench.transport.receive()
        assert more, "receive has nothing to say"
        events += more
    assert len(events) == count, events
    return events


def assert_failed(bench: Bench, code: int) -> None:
    (failed,) = receive(bench, 1)
    assert isinstance(failed, Failed)
    assert failed.code == code


class Full:
    """A transport that takes no more: ``frames`` whole ones, and ``rest`` is still to be written."""

    def __init__(self, payload: bytes, rest: bytes, frames: int) -> None:
        self.payload, self.rest, self.frames = payload, rest, frames


def fill(transport: Transport) -> Full:
    """Write until nothing more is taken."""
    payload = b"f" * 50_000
    frames = 0
    while True:
        rest = memoryview(transport.encode(Frame(Opcode.BINARY, payload)))
        while rest and (taken := transport.write([rest])):
            rest = rest[taken:]
        if rest:
            return Full(payload, bytes(rest), frames)
        frames += 1


def write_all(transport: Transport, wire: bytes, after: Call | None = None) -> None:
    if after is not None:
        after.result()
    rest = memoryview(wire)
    while rest:
        rest = rest[transport.write([rest]) :]
        if rest:
            transport.wait_writable()


def assert_write_raises(transport: Transport, rest: bytes = b"") -> None:
    """Not at once: the network has to tell us first that there is nobody."""
    wire = rest or bytes(transport.encode(HELLO))
    for _ in range(100_000):
        try:
            transport.wait_writable()
            wire = wire[transport.write([wire]) :] or bytes(transport.encode(HELLO))
        except OSError:
            return
    raise AssertionError("write went on and on")


CHECKS: list[Callable[[Bench], None]] = [
    function for name, function in list(globals().items()) if name.startswith("check_t")
]
