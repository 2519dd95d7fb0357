"""Messages and frames are plain values that may be shared between threads and sessions."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from resumehub.message import Frame, Message, Opcode, is_reserved


def test_a_message_needs_neither_event_nor_payload() -> None:
    """An application with one kind of message need not invent an event, nor a payload for a nudge."""
    assert Message() == Message(event="", payload=None)
    assert Message("chat", {"text": "hi"}).payload == {"text": "hi"}


@pytest.mark.parametrize("attribute", ["event", "payload", "colour"])
def test_a_message_never_changes(attribute: str) -> None:
    """The first of several handlers cannot change what the second one sees."""
    message = Message("chat", "hi")
    with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
        setattr(message, attribute, "other")
    assert message == Message("chat", "hi")


@pytest.mark.contract("C10")
@pytest.mark.parametrize(
    ("event", "reserved"),
    [("$ack", True), ("$", True), ("", False), ("ack", False), ("a$", False), (" $ack", False)],
)
def test_events_that_begin_with_a_dollar_are_reserved(event: str, reserved: bool) -> None:
    """Only the first character decides whether an event belongs to resumehub."""
    assert is_reserved(event) is reserved


def test_opcodes_are_those_of_rfc_6455() -> None:
    """A transport can write an opcode's value as it is (RFC 6455 §5.2)."""
    assert (Opcode.TEXT.value, Opcode.BINARY.value) == (1, 2)


def test_a_frame_tells_its_size_in_bytes() -> None:
    """A buffer is bounded in bytes, not in characters."""
    assert Frame(Opcode.TEXT, "ü".encode()).size == 2
    assert Frame(Opcode.BINARY, b"").size == 0


@pytest.mark.parametrize("attribute", ["opcode", "payload", "size", "colour"])
def test_a_frame_never_changes(attribute: str) -> None:
    """A frame that waits in a thousand outboxes is the same when it is replayed."""
    frame = Frame(Opcode.TEXT, b"hi")
    with pytest.raises(AttributeError):
        setattr(frame, attribute, b"other")
    assert (frame.opcode, frame.payload) == (Opcode.TEXT, b"hi")


def test_a_transport_may_keep_its_encoding_in_a_frame() -> None:
    """A broadcast is made into wire bytes once, and that changes nothing about the frame."""
    frame, same = Frame(Opcode.TEXT, b"hi"), Frame(Opcode.TEXT, b"hi")
    assert frame.wire is None
    frame.wire = b"\x81\x02hi"
    assert frame == same
    assert hash(frame) == hash(same)
    assert same.wire is None


def test_frames_with_another_opcode_or_payload_differ() -> None:
    """Text and binary frames with the same bytes are different messages to a client."""
    frame = Frame(Opcode.TEXT, b"hi")
    assert frame != Frame(Opcode.BINARY, b"hi")
    assert frame != Frame(Opcode.TEXT, b"ho")
    assert frame != b"hi"


def test_a_frame_does_not_show_its_content() -> None:
    """What users write to each other does not get into a log through a repr."""
    assert repr(Frame(Opcode.TEXT, b"secret")) == "<Frame TEXT 6 bytes>"
