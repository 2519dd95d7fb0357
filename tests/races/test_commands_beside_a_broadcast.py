"""A broadcast goes through thousands of receivers while somebody is kicked and somebody comes back.

The order: a thread is in the middle of a broadcast and holds what gives the room's broadcasts their order;
then the hub thread is to take a member out, and to attach another one's new transport. A hub that takes the
same lock for that waits for the whole broadcast, and with it every resume and kick in the process. Ours
shares nothing with a broadcast but what is held for the time of a copy, or of one receiver's frame.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from resumehub import Message
from resumehub.server.room import Room
from resumehub.session.session import Session
from resumehub.testing import Deadlock, Lab


class OneLockForAll(Room):
    """Members come and go under the lock of the broadcasts."""

    def remove(self, session: Session) -> bool:
        with self.order:
            return super().remove(session)


@pytest.mark.parametrize("share", [False, True], ids=["a reader each", "shared readers"])
@pytest.mark.parametrize("room", [OneLockForAll, Room])
def test_the_hub_waits_for_no_broadcast(monkeypatch, room, share):
    monkeypatch.setattr("resumehub.server.registry.Room", room)
    with Lab(share=share) as lab:
        hub = lab.open()
        peers = {name: lab.dial(f"/?id={name}") for name in ("alice", "bob", "carol", "dave")}
        lab.run_until_idle()

        @lab.actor
        def application() -> None:
            hub.broadcast("lobby", Message("n", 1))

        in_the_middle = lab.run_until("application: lock the outbox of bob")
        if room is OneLockForAll:
            with pytest.raises(Deadlock, match="the hub's answer"):
                hub.kick("carol")
            in_the_middle.let_go()
            return

        hub.kick("carol")
        peers["dave"].drop()
        back = peers["dave"].resume(received="0")
        newcomer = lab.dial("/?id=erin")
        lab.run_until_idle()
        assert hub.get("carol") is None
        assert not hub.get("dave").suspended
        assert lab.task("application").where == "lock the outbox of bob", "it is still at it"

        in_the_middle.let_go()
        lab.play()
        assert [payloads(peers["alice"]), payloads(peers["bob"]), payloads(back)] == [[1]] * 3
        assert payloads(newcomer) == []


def payloads(peer: Any) -> list[int]:
    return [json.loads(said)["payload"] for said in peer.received()]
