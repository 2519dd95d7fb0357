"""The scenes of the shell's guards: what the lab plays, in one order of its threads after another.

Each is a scenario for ``resumehub.testing.explore``; its docstring is the schedule in words, and is what the
page of guards shows. ``shell_guards.py`` says which check goes with which.
"""

from __future__ import annotations

import contextlib

from resumehub import Message, NoopMetrics, ResumeHubError
from resumehub.testing import Lab, Peer, TransportClosed, UpgradeRefused

BIG = "x" * 20_000


def opened(lab: Lab, **how: object) -> Peer:
    hub = lab.open(ping_interval=None)
    hub.on_message(lambda connection, message: lab.note("message"))
    hub.on_disconnect(lambda connection, error: lab.note("disconnect"))
    alice = lab.dial("/?id=alice", **how)
    lab.run_until_idle()
    return alice


def a_message_and_a_kick(lab: Lab) -> None:
    """A message is read; the session is kicked before its handler starts."""
    alice = opened(lab)

    @lab.actor
    def client() -> None:
        alice.send('{"event": "n"}')

    @lab.actor
    def application() -> None:
        lab.hub.kick("alice")
        lab.note("kicked")

    @lab.at_end
    def nothing_behind_the_kick() -> None:
        behind = lab.notes[lab.notes.index("kicked") :]
        assert "message" not in behind, f"a message is handled behind the kick: {lab.notes}"


def a_refusal_and_a_resume(lab: Lab) -> None:
    """on_connect raises; its client resumes, and sends, before the hub hears of the error."""
    hub = lab.open(ping_interval=None)
    hub.on_message(lambda connection, message: lab.note("message"))

    @hub.on_connect
    def refuse(connection: object) -> None:
        lab.pause("look the user up")
        raise PermissionError("you may not")

    alice = lab.dial("/?id=alice")
    refused = lab.run_until("reader of alice: tell the hub")
    alice.resume().send('{"event": "n"}')
    lab.run_until_idle()
    refused.let_go()

    @lab.at_end
    def it_never_got_in() -> None:
        assert "message" not in lab.notes, "a message of a client that was turned away is handled"


def a_kick_and_a_close(lab: Lab) -> None:
    """A thread is about to ask the hub for something when the hub leaves."""
    alice = opened(lab)
    alice.drop()
    lab.run_until_idle()

    @lab.actor
    def closer() -> None:
        lab.hub.close(60.0)

    @lab.actor
    def application() -> None:
        with contextlib.suppress(ResumeHubError):
            lab.hub.kick("alice")


def a_newcomer_and_a_close(lab: Lab) -> None:
    """A socket has been upgraded, and arrives when the hub leaves."""
    alice = opened(lab)
    alice.drop()
    lab.run_until_idle()

    @lab.actor
    def closer() -> None:
        lab.hub.close(60.0)

    @lab.actor
    def client() -> None:
        with contextlib.suppress(UpgradeRefused, TransportClosed):
            lab.dial("/?id=bob")


def behind_the_shutdown(lab: Lab, who: str) -> None:
    """Have an actor put its command behind the shutdown, before the hub takes either."""
    at_the_door = lab.run_until(f"{who}: tell the hub")
    busy = lab.hold("the hub is about to act")
    lab.run_until_idle()
    while lab.step("closer"):
        pass
    at_the_door.let_go()
    while lab.step(who):
        pass
    busy.let_go()


def a_kick_behind_the_shutdown(lab: Lab) -> None:
    """A kick is in the hub's queue, behind the shutdown."""
    a_kick_and_a_close(lab)
    behind_the_shutdown(lab, "application")


def a_newcomer_behind_the_shutdown(lab: Lab) -> None:
    """An upgraded socket is in the hub's queue, behind the shutdown."""
    a_newcomer_and_a_close(lab)
    behind_the_shutdown(lab, "client")


def a_kick_at_the_door(lab: Lab) -> None:
    """A thread has seen that the hub is there, and is about to put its command; meanwhile the hub leaves."""
    a_kick_and_a_close(lab)
    at_the_door = lab.run_until("application: tell the hub")
    while lab.step("closer"):
        pass
    lab.run_until_idle()
    at_the_door.let_go()


def stand_in(lab: Lab) -> None:
    """What the watcher does when it has seen a reader in the same handler twice."""
    loop = lab.hub.runner.loop
    for io in list(loop.transports):
        loop.io_threads.stand_in(io)


def slow_one(lab: Lab) -> Peer:
    """Alice, whose message "slow" keeps its reader for long."""
    hub = lab.open(ping_interval=None)

    @hub.on_message
    def handle(connection: object, message: Message) -> None:
        if message.event == "slow":
            lab.pause("take long")
        lab.note(message.event)

    alice = lab.dial("/?id=alice")
    lab.run_until_idle()
    return alice


def two_messages(lab: Lab, alice: Peer, before: list[str]) -> None:
    @lab.actor
    def client() -> None:
        alice.send('{"event": "1"}')
        alice.send('{"event": "2"}')

    @lab.at_end
    def in_order() -> None:
        assert lab.notes == [*before, "1", "2"], f"the messages are handled in the order {lab.notes}"


def a_stand_in_and_a_return(lab: Lab) -> None:
    """A handler takes long; another thread gets the right to read; the handler returns; two messages come."""
    alice = slow_one(lab)
    alice.send('{"event": "slow"}')
    stuck = lab.run_until("reader of alice: take long")
    stand_in(lab)
    stuck.let_go()
    lab.run_until_idle()
    two_messages(lab, alice, ["slow"])


def a_return_and_a_stand_in(lab: Lab) -> None:
    """The watcher has seen a stuck reader, which is reading again by now; two messages come."""
    alice = slow_one(lab)
    stand_in(lab)
    two_messages(lab, alice, [])


def a_slow_handler_and_a_resume(lab: Lab) -> None:
    """A handler takes long; its client resumes; the new reader comes to the same callbacks."""
    alice = slow_one(lab)
    alice.send('{"event": "slow"}')
    lab.run_until("reader of alice: take long")
    alice.resume()
    lab.run_until_idle()


def a_slow_reader_drops(lab: Lab) -> None:
    """The peer reads no more, a writer waits for it, and the line breaks."""
    alice = opened(lab, buffer=4096)

    @lab.actor
    def application() -> None:
        lab.hub.send("alice", Message("n", BIG))

    @lab.actor
    def network() -> None:
        alice.drop()

    [io] = lab.hub.runner.loop.transports

    @lab.invariant
    def nobody_writes_to_a_closed_socket() -> str | None:
        released = io.number not in lab.hub.runner.loop.transports
        return "the socket is closed under its writer" if released and io.writer._writer_running else None


def a_slow_reader_is_superseded(lab: Lab) -> None:
    """Half a message is out when its client resumes on another transport; then the old line is read on."""
    alice = opened(lab, buffer=4096)
    lab.hub.send("alice", Message("n", BIG))
    lab.run_until_idle()
    said: list[object] = []

    @lab.actor
    def client() -> None:
        alice.resume()

    @lab.at_end
    def the_old_line_makes_sense() -> None:
        said.append(alice.wait_closed())
        assert said == [(4101, "superseded")], f"the old line says {said}"


class Drops(NoopMetrics):
    def __init__(self) -> None:
        self.dropped = 0

    def message_dropped(self, room_id: str, connection_id: str, reason: str) -> None:
        self.dropped += 1


def half_a_message_and_a_kick(lab: Lab) -> None:
    """Half a message is out when the line breaks; the session is kicked in its window."""
    metrics = Drops()
    lab.open(ping_interval=None, metrics=metrics)
    alice = lab.dial("/?id=alice", buffer=4096)
    lab.hub.send("alice", Message("n", BIG))
    lab.run_until_idle()

    @lab.actor
    def application() -> None:
        alice.drop()
        lab.hub.kick("alice")

    @lab.at_end
    def it_is_counted() -> None:
        assert metrics.dropped == 1, f"{metrics.dropped} messages are counted as dropped, and one is lost"
