"""A resume that says how far its client got, against messages that are sent at the same moment.

The order: the hub looks, finds that messages 1 and 2 are still in the history, and decides that the client
may go on from there; *new messages are sent, and the history makes room for them*; the hub attaches the
client and sends the rest again. A hub that only looks then sends again what is left: messages 1 and 2 are
never seen, and nobody is told. Ours pins what the resume needs while it decides: a message that finds no
room then is refused.

In a takeover the old transport goes on meanwhile. What it writes is sent again, and what a broadcast drops
behind the look is a loss like any other: the next count sees it.
"""

from __future__ import annotations

import contextlib
import json

import pytest

from resumehub import ConnectionClosed, Message, SendBufferFull
from resumehub.core import effects as e
from resumehub.outgoing.outbox import Outbox, ResumePosition
from resumehub.server import effect_runner
from resumehub.testing import Lab, Peer, ScheduleFailed, UpgradeRefused, explore
from tests.races.stepped_hub import held_before
from tests.support import Call, read


class OnlyLooks(Outbox):
    """Says whether the client can go on, keeps nothing for it, and sends again what is left."""

    def hold_history(self, received: int) -> ResumePosition:
        return self.resume_position(received)

    def rewind(self, received: int) -> int:
        left = max(received, self.sent_to - len(self._sent))
        super().hold_history(left)
        return super().rewind(left)


class Resume:
    """A client that has handled nothing of the two messages that it was sent, and comes back."""

    def __init__(self, lab: Lab, ada: Peer) -> None:
        self.answer = "none yet"
        self._back: Peer | None = None

        @lab.actor
        def client() -> None:
            try:
                self._back = ada.resume(received="0")
            except UpgradeRefused as refused:
                self.answer = json.loads(refused.body)["reason"]

    def outcome(self) -> tuple[str, list[int]]:
        """How it was answered, and the numbers of the messages that it got."""
        if self._back is None:
            return self.answer, []
        got = [json.loads(message)["payload"] for message in self._back.received()]
        closed = self._back.closed()
        return json.loads(closed[1])["reason"] if closed else "101", got


def a_resume_and_two_messages(lab: Lab) -> None:
    """Two messages fit, and are in the history when two more are sent."""
    hub = lab.open(send_buffer=2, ping_interval=None)
    ada = lab.dial("/?id=ada")
    hub.send("ada", Message("n", 1))
    hub.send("ada", Message("n", 2))
    ada.drop()
    lab.run_until_idle()
    resume, accepted = Resume(lab, ada), list[int]()

    @lab.actor
    def application() -> None:
        connection = hub.get("ada")
        for number in (3, 4):
            with contextlib.suppress(SendBufferFull, ConnectionClosed):
                connection.send(Message("n", number))
                accepted.append(number)

    @lab.at_end
    def all_or_nothing() -> None:
        answer, got = resume.outcome()
        whole = [1, 2, *accepted]
        assert (answer, got) in [("gap", []), ("101", whole)], f"{answer} {got}, of {whole}"
        lab.note(f"{answer} {accepted}")


def test_only_looking_loses_a_message_and_tells_nobody(monkeypatch):
    monkeypatch.setattr(effect_runner, "Outbox", OnlyLooks)
    with pytest.raises(ScheduleFailed, match=r"101 \[3, 4\], of \[1, 2, 3, 4\]"):
        explore(a_resume_and_two_messages, stop_at_locks=True)


def test_what_was_promised_is_kept_in_every_order():
    """The client gets the whole row, or a gap and nothing."""
    assert explore(a_resume_and_two_messages, stop_at_locks=True, twice=False).complete


def test_between_look_and_attach_there_is_no_room(stage):
    """The history is as good as sent again: a send is refused, a broadcast is dropped, and both are told."""
    one = stage(send_buffer=2)
    ws = one.open()
    one.say("u1", 1, 2)
    one.drop(ws)
    with held_before(one.hub, e.AttachTransport) as attaching:
        resuming = Call(lambda: one.resume(ws, received="0"))
        attaching.wait_reached()
        with pytest.raises(SendBufferFull):
            one.say("u1", 3)
        one.hub.broadcast("lobby", Message("n", 4))

    again = resuming.result()
    assert [read(again)[1] for _ in range(2)] == [1, 2]
    one.say("u1", 5)
    assert read(again) == ("n", 5)
    assert one.hub.stats().dropped == 1


def test_what_the_old_transport_writes_behind_the_look_is_sent_again(stage):
    """A takeover: the client has said its count, and hears nothing more on the old connection."""
    one = stage()
    ws = one.open()
    one.say("u1", 1, 2)
    with held_before(one.hub, e.DetachTransport) as detaching:
        resuming = Call(lambda: one.resume(ws, received="1"))
        detaching.wait_reached()
        one.say("u1", 3)

    again = resuming.result()
    assert [read(again)[1] for _ in range(2)] == [2, 3]
    assert [read(ws)[1] for _ in range(3)] == [1, 2, 3]


def test_a_loss_behind_the_look_is_a_loss_of_the_resumed_connection(stage):
    """The old transport has written past it; the client goes on, and is told when it counts again."""
    one = stage(send_buffer_bytes=1000)
    ws = one.open()
    one.say("u1", 1, 2)
    with held_before(one.hub, e.DetachTransport) as detaching:
        resuming = Call(lambda: one.resume(ws, received="1"))
        detaching.wait_reached()
        one.hub.broadcast("lobby", Message("too large", "x" * 1000))
        one.say("u1", 3)

    again = resuming.result()
    assert [read(again)[1] for _ in range(2)] == [2, 3]
    with pytest.raises(UpgradeRefused) as refused:
        one.resume(ws, received="2")
    assert json.loads(refused.value.body)["first_available"] == 3
