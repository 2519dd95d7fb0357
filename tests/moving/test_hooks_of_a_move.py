"""on_start, on_adopt, on_release and on_stop: what a process is told when sessions come and go alive."""

from __future__ import annotations

from typing import Any

import pytest

from resumehub import Connection, Hub
from resumehub.runtime.base import Event
from resumehub.server.hub_loop import HubLoop
from resumehub.server.moving import Departure, adopt_session, export_session
from resumehub.session.session_state import decode, encode
from resumehub.testing import Lab
from tests.moving.test_moving import text
from tests.moving.world import ID, Life

HOOKS = ("on_start", "on_adopt", "on_release", "on_stop")


def told(hub: Hub, story: list[object], name: str) -> None:
    """Have ``hub`` write down its new hooks in ``story``."""
    hub.on_start(lambda hub: story.append((name, "start")))
    hub.on_stop(lambda hub: story.append((name, "stop")))
    hub.on_adopt(lambda connection: story.append((name, "adopt", connection.id)))
    hub.on_release(lambda connection: story.append((name, "release", connection.id)))


def loop_of(hub: Hub) -> HubLoop:
    assert hub.runner.loop is not None
    return hub.runner.loop


def parted(hub: Hub) -> Departure:
    """``ID``, taken out of its hub."""
    return export_session(loop_of(hub), hub.runner.runtime, ID)


def arrived(hub: Hub, left: Departure, stream: Any) -> None:
    """The session that has ``left`` goes on in ``hub``."""
    adopt_session(loop_of(hub), hub.runner.runtime, decode(encode(left.state)), stream)


def test_a_session_that_moves_is_released_last_and_adopted_first() -> None:
    """Given a session that waits, when it moves, then on_release and on_adopt are around all the rest."""
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=True, window=None)
        for name, hub in zip(("here", "there"), life.hubs, strict=True):
            told(hub, life.story, name)
        life.say(text("a"))
        life.move()
        life.say(text("b"))
        story = [one for one in life.end() if isinstance(one, tuple)]
    events = [one if one[0] in ("here", "there") else one[:2] for one in story]
    assert events[:6] == [
        ("connect", ID),
        ("joins", "lobby"),
        ("message", "a"),
        ("here", "release", ID),
        ("there", "adopt", ID),
        ("message", "b"),
    ]


def test_a_move_that_fails_adopts_again_in_the_same_process() -> None:
    """Given data that on_release leaves behind, when it can't be written down, then on_adopt runs here."""
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=True, window=None)
        told(life.hub, life.story, "here")

        @life.hub.on_release
        def put_a_lock_in(connection: Connection) -> None:
            connection.data["lock"] = object()

        with pytest.raises(TypeError, match=r"connection.data\['lock'\] is an object"):
            parted(life.hub)
        life.say(text("still here"))
        connection = life.hub.get(ID)
        assert connection is not None
        del connection.data["lock"]
        assert life.story[-3:] == [
            ("here", "release", ID),
            ("here", "adopt", ID),
            ("message", "still here", None),
        ]
        life.end()


def test_on_release_may_take_out_what_can_not_travel() -> None:
    """Given a lock in connection.data, when on_release takes it out, then the session moves."""
    with Lab(stop_at_locks=False) as lab:
        life = Life(lab, v1=True, window=None)
        connection = life.hub.get(ID)
        assert connection is not None
        connection.data["lock"] = object()
        life.hub.on_release(lambda connection: connection.data.pop("lock"))
        life.move()
        assert life.moved == 1
        life.end()


class Gated:
    """A hub that adopts a suspended session, and whose handler of one hook waits until it may return."""

    def __init__(self, lab: Lab, slow: str) -> None:
        self.lab = lab
        self.life = life = Life(lab, v1=True, window=None)
        life.drop()
        self.hub = life.hubs[1]
        self.may_return: Event = lab.runtime.event("the handler may return")
        told(self.hub, life.story, "there")
        getattr(self.hub, slow)(lambda one: self.may_return.wait())
        loop = loop_of(self.hub)
        loop.beginning.cease(lambda: None)  # it had begun without sessions, and without a handler
        loop.beginning.hold_back()

        arrived(self.hub, parted(life.hub), None)
        loop.beginning.run()
        lab.run_until_idle()

    def names(self) -> list[object]:
        """What has run in the hub that adopts, in order."""
        story = [one for one in self.life.story if isinstance(one, tuple)]
        first = story.index(("there", "start"))
        return [one[1] if one[0] == "there" else one[0] for one in story[first:]]

    def come_back(self) -> None:
        """The session's client resumes at the hub that adopts."""
        self.life.hubs.reverse()
        self.life.resume()
        self.lab.run_until_idle()


@pytest.mark.parametrize(("slow", "before"), [("on_start", ["start"]), ("on_adopt", ["start", "adopt"])])
def test_nothing_runs_before_on_start_and_on_adopt_have_returned(slow: str, before: list[str]) -> None:
    """Given an on_start or on_adopt that waits, when the client is back, then its restore waits too."""
    with Lab(stop_at_locks=False) as lab:
        gated = Gated(lab, slow)
        gated.come_back()
        gated.life.say(text("a"))
        assert gated.names() == before
        gated.may_return.set()
        lab.run_until_idle()
        assert gated.names() == ["start", "adopt", "restore", "message"]
        gated.life.end()


def test_after_a_second_the_others_go_on() -> None:
    """Given an on_adopt that hangs, when the watcher has looked for a second, then other sessions go on."""
    with Lab(stop_at_locks=False) as lab:
        gated = Gated(lab, "on_adopt")
        gated.come_back()
        gated.life.say(text("a"))
        gated.life.visit("bob")
        assert gated.names() == ["start", "adopt"]
        for _ in range(5):
            loop_of(gated.hub).beginning.look()
            lab.run_until_idle()
        assert gated.names() == ["start", "adopt", "connect", "joins"]
        gated.may_return.set()
        lab.run_until_idle()
        assert gated.names()[4:] == ["restore", "message"]
        gated.life.end()


def test_a_hub_alone_starts_before_its_first_callback_and_stops_when_it_is_closed() -> None:
    """Given a hub without a cluster, then on_start runs first, and on_stop once, at the close."""
    with Lab() as lab:
        story: list[object] = []
        hub = lab.open(lambda request: ("lobby", "alice"))
        hub.on_start(lambda one: story.append(("start", one is hub)))
        hub.on_stop(lambda one: story.append(("stop", one is hub)))
        hub.on_connect(lambda connection: story.append("connect"))
        hub.on_disconnect(lambda connection, error: story.append("disconnect"))
        lab.dial()
        lab.run_until_idle()
        assert story == [("start", True), "connect"]
        assert hub.close().complete
        assert hub.close().complete
        assert sorted(map(str, story[2:])) == ["('stop', True)", "disconnect"]
