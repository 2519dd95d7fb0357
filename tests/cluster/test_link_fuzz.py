"""Whatever comes over a link ends that link at worst: with one line in the log, and no descriptor left.

The bytes are made up by Hypothesis, the same in each run: whole messages, cut ones, some with a bit turned,
and noise; beside them packets of descriptors that are announced or not, in the right order or not.
"""

from __future__ import annotations

import array
import logging
import os
import socket
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resumehub.cluster.greetings import Greeting, Refused, Welcome, answer
from resumehub.cluster.link import Link, close_all
from resumehub.cluster.link_codec import (
    CARRIERS,
    HEADER,
    MESSAGES,
    MOST_DESCRIPTORS,
    MessageReader,
    NotAMessage,
    encode,
)
from resumehub.cluster.link_thread import LinkLoop
from resumehub.runtime.system import SystemRuntime
from tests.cluster.links import a_greeting

EXAMPLES = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def any_message_may_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of these tests stands for those that do."""
    monkeypatch.setitem(CARRIERS, Refused, MOST_DESCRIPTORS)


@dataclass
class Sent:
    """``data`` on the stream, behind packets: (place in the order, how many descriptors)."""

    data: bytes
    packets: list[tuple[int, int]]


@st.composite
def sent_things(draw: st.DrawFn) -> list[Sent]:
    things, place = [], 0
    for _ in range(draw(st.integers(0, 6))):
        count = draw(st.sampled_from([0, 0, 0, 1, 3, MOST_DESCRIPTORS]))
        data = bytearray(encode(Refused("code", draw(st.text(max_size=20))), count))
        packets = []
        if count:
            place += 1
            packets.append((place, count))
        match draw(st.sampled_from(["whole", "whole", "whole", "cut", "turned", "noise", "packets"])):
            case "cut":
                del data[draw(st.integers(0, len(data))) :]
            case "turned":
                data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
            case "noise":
                data = bytearray(draw(st.binary(max_size=40)))
            case "packets":
                packets = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=2))
        things.append(Sent(bytes(data), packets))
    return things


def play(things: list[Sent]) -> tuple[int, int]:
    """Send it, and serve the other end; return how many messages were handled, and how often it ended."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    packets, others = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    runtime = SystemRuntime()
    handled: list[Any] = []
    ends: list[Link] = []

    def handle(link: Link, message: Any, descriptors: tuple[int, ...]) -> None:
        handled.append(message)
        close_all(descriptors)

    null = os.open(os.devnull, os.O_RDONLY)
    for thing in things:
        for place, count in thing.packets:
            rights = array.array("i", [null] * count)
            packets.sendmsg([place.to_bytes(8)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        here.sendall(thing.data)
    os.close(null)
    here.close()
    packets.close()
    link = Link(there, others, a_greeting(1), 1, runtime)
    LinkLoop(link, {Refused: handle}, ends.append, runtime=runtime).run()
    return len(handled), len(ends)


@EXAMPLES
@given(things=sent_things())
def test_a_link_ends_at_worst(things: list[Sent], caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    before = os.listdir("/proc/self/fd")

    handled, ended = play(things)

    assert ended == 1
    assert handled <= len(things) + 1
    assert os.listdir("/proc/self/fd") == before
    said = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert len(said) <= 1, said
    assert all(level == logging.ERROR for level, _ in said)


def test_what_is_in_order_is_handled() -> None:
    """The test of the test above."""
    things = [Sent(encode(Refused("code", f"{number}"), number), [(number, number)]) for number in (1, 2, 3)]
    assert play(things) == (3, 1)


@EXAMPLES
@given(data=st.binary(max_size=60), at=st.integers(0, 60), number=st.sampled_from(sorted(MESSAGES)))
def test_any_bytes_are_a_message_or_none(data: bytes, at: int, number: int) -> None:
    """Of every class of messages that there is, in one piece or in two."""
    wire = HEADER.pack(len(data), number, 0) + data
    for pieces in ([wire], [wire[:at], wire[at:]]):
        reader = MessageReader()
        try:
            found = [message for piece in pieces for message, _ in reader.feed(piece)]
        except NotAMessage:
            continue
        assert [type(message) for message in found] == [MESSAGES[number]]
        assert not reader.inside


@EXAMPLES
@given(
    texts=st.lists(st.text(max_size=10), min_size=4, max_size=4),
    pieces=st.lists(st.integers(1, 40), max_size=20),
)
def test_messages_may_be_cut_anywhere(texts: list[str], pieces: list[int]) -> None:
    messages = [Refused("code", text) for text in texts]
    wire = b"".join(encode(message, number) for number, message in enumerate(messages))
    reader = MessageReader()
    found: list[tuple[Any, int]] = []
    for size in [*pieces, len(wire)]:
        found += reader.feed(wire[:size])
        wire = wire[size:]

    assert found == [(message, number) for number, message in enumerate(messages)]
    assert not reader.inside


@EXAMPLES
@given(data=st.binary(max_size=60) | st.from_regex(rb'\A\{"(process|pid|code|kind)":.{0,30}\}\Z'))
def test_any_bytes_are_a_greeting_or_none(data: bytes) -> None:
    for kind in (Greeting, Welcome, Refused):
        try:
            said = kind.from_bytes(data)
        except ValueError:
            continue
        assert kind.from_bytes(said.to_bytes()) == said


@pytest.mark.parametrize("data", [b"[" * 4000, b'{"pid":' * 600, b"NaN", b"\xff", b"{}", b'{"process":1}'])
def test_a_greeting_that_is_none_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="its greeting"):
        Greeting.from_bytes(data)


def test_a_greeting_has_bounded_texts() -> None:
    long = a_greeting(1, application="x" * 256)
    with pytest.raises(ValueError, match="application is too long"):
        Greeting.from_bytes(long.to_bytes())
    assert isinstance(answer(a_greeting(1), a_greeting(2), "life"), Welcome)
