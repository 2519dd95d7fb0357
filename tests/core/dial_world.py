"""A worker, the places of a hub and the links between them, as lists: whatever can happen next to two dials.

``explore`` goes through every order. What a client has been told, and who has a copy of its connection, is
compared after each step with what a client may ever see; at the end nothing may be left.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from resumehub.core.cluster import dial_events as d
from resumehub.core.cluster import receiving as r
from resumehub.core.cluster.passing import DialRules, WorkerDials

RULES = DialRules(most_waiting=1, most_copies=1, patience=1.0)

OPTIONAL = ("kill", "damage", "no descriptor", "freeze", "time", "elect")
"""What may also never happen."""


class WrongDial(AssertionError):
    """A client, or the books, saw what must not be."""


@dataclass
class Connection:
    """A client's. ``told``: its first bytes, by whom. ``copies``: who holds a descriptor of it."""

    told: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)


@dataclass
class Wire:
    """A link. ``open``: the hub's end can be written to and read from."""

    hub: str
    to_hub: list[tuple[str, int]] = field(default_factory=list)
    to_worker: list[tuple[str, int]] = field(default_factory=list)
    open: bool = True
    moved: bool = False
    ended: bool = False


@dataclass
class HubSide:
    """A process that holds the hub, or did. ``taking``: has said Taken, and not written yet."""

    life: str
    place: r.HubPlace
    dials: r.HubDials
    taking: list[int] = field(default_factory=list)
    alive: bool = True


class DialWorld:
    """See the module. ``can`` names what may happen next; ``do`` makes it happen."""

    def __init__(
        self,
        dials: int,
        worker: Callable[[DialRules], WorkerDials] = WorkerDials,
        hub: Callable[[], r.HubDials] = r.HubDials,
        *,
        faults: tuple[str, ...] = (),
        writes_first: bool = False,
    ) -> None:
        self.now = 0.0
        self.worker = worker(RULES)
        self.make_hub = hub
        self.writes_first = writes_first
        self.faults = set(faults)
        self.hubs = {"first": HubSide("one", r.HubPlace.HERE, hub())}
        self.wires = {1: Wire("first")}
        self.here = ""
        self.connections = {number: Connection() for number in range(1, dials + 1)}
        self.stage = dict.fromkeys(self.connections, "comes")
        self.worker.handle(d.LinkOpened(1, "one"), 0.0)

    # -- what may happen ----------------------------------------------------------------------

    def can(self) -> list[str]:
        found = []
        for number, stage in self.stage.items():
            if stage == "comes":
                found.append(f"ask {number}")
            if stage == "waits":
                found.append(f"give up {number}")
            if stage == "goes":
                found.append(f"pass {number}")
        for number, wire in self.wires.items():
            if wire.to_hub and wire.open and self.hubs[wire.hub].alive:
                found.append(f"hub reads {number}")
            if not wire.ended and (wire.to_worker or not wire.open):
                found.append(f"worker reads {number}")
            if not wire.ended and wire.to_worker and "damage" in self.faults:
                found.append(f"damage {number}")
        for name, hub in self.hubs.items():
            if not hub.alive:
                continue
            found += [f"write {name} {number}" for number in hub.taking]
            if "kill" in self.faults and hub.place is not r.HubPlace.GONE:
                found.append(f"kill {name}")
            if "descriptors" in self.faults and any(wire.hub == name for wire in self.wires.values()):
                found.append(f"no descriptor {name}")
            if name == "first" and hub.place is r.HubPlace.HERE and not hub.taking and "move" in self.faults:
                found.append("freeze")
            if hub.place is r.HubPlace.UNSURE:
                found += ["thaw", "commit", "commit here"]
        if "second" in self.hubs and 2 not in self.wires:
            found.append("connect 2")
        if self._is_orphaned():
            found += ["elect another", "elect here"]
        if self.worker.next_at() is not None or "time" in self.faults:
            found.append("time passes")
        return found

    def _is_orphaned(self) -> bool:
        return (
            not self.here
            and not any(hub.alive and hub.place is not r.HubPlace.GONE for hub in self.hubs.values())
            and 3 not in self.wires
        )

    def do(self, step: str) -> None:
        word, _, rest = step.partition(" ")
        getattr(self, f"_{word}")(*rest.split())
        self.check()

    # -- the worker ---------------------------------------------------------------------------

    def _see(self, event: d.DialEvent) -> None:
        for effect in self.worker.handle(event, self.now):
            match effect:
                case d.SendQuestion(number, link):
                    self._send(link, ("look", number))
                case d.Tell(number, result):
                    self._told(number, result)
                case d.SendPass(number, link):
                    if self._send(link, ("pass", number)):
                        self.connections[number].copies.append(f"wire {link}")
                case d.CloseCopy(number):
                    self.connections[number].copies.remove("worker")
                case d.TakeHere(number):
                    self.connections[number].copies.remove("worker")
                    self._write_101(number, "worker")
                case d.RefuseDial(number):
                    connection = self.connections[number]
                    connection.copies.remove("worker")
                    connection.told.append("503 of the worker")
                    self._nobody_else(number)

    def _send(self, link: int, message: tuple[str, int]) -> bool:
        wire = self.wires[link]
        if wire.open and not wire.ended:
            wire.to_hub.append(message)
            return True
        return False

    def _told(self, number: int, result: d.AskedResult) -> None:
        good = result in (d.AskedResult.ANSWERED, d.AskedResult.HERE)
        self.stage[number] = "goes" if good else "over"
        if not good:
            self.connections[number].told.append("503 of the server")

    def _ask(self, number: str) -> None:
        self.stage[int(number)] = "waits"
        self._see(d.Asks(int(number)))

    def _give(self, up: str, number: str) -> None:
        self._see(d.GivesUp(int(number)))
        if self.stage[int(number)] == "waits":
            raise WrongDial(f"the thread of dial {number} gives up, and is not told what to answer")

    def _pass(self, number: str) -> None:
        self.stage[int(number)] = "over"
        self.connections[int(number)].copies.append("worker")
        self._see(d.Passes(int(number)))

    def _worker(self, reads: str, link: str) -> None:
        number = int(link)
        wire = self.wires[number]
        if not wire.to_worker:
            wire.ended = True
            self._see(d.LinkEnded(number, True, wire.moved))
            return
        what, dial = wire.to_worker.pop(0)
        match what:
            case "looked":
                self._see(d.Answered(dial, number))
            case "later":
                self._see(d.Answered(dial, number, later=True))
            case "taken":
                self._see(d.TakenThere(dial, number))
            case "not taken":
                self._see(d.NotTakenThere(dial, number, d.NotTakenBecause.NO_DESCRIPTOR))
            case "moved":
                wire.moved = True

    def _damage(self, link: str) -> None:
        """The worker can't read on; it closes its end."""
        self.faults.discard("damage")
        wire = self.wires[int(link)]
        wire.ended = True
        wire.open = False
        wire.to_worker.clear()
        self._lose(int(link))
        self._see(d.LinkEnded(int(link), False))

    def _time(self, passes: str) -> None:
        self.faults.discard("time")
        self.now += RULES.patience
        self._see(d.TimePasses())

    # -- the hub ------------------------------------------------------------------------------

    def _hub(self, reads: str, link: str) -> None:
        wire = self.wires[int(link)]
        hub = self.hubs[wire.hub]
        what, number = wire.to_hub.pop(0)
        if what == "look":
            self._reply(int(link), "looked" if hub.place is r.HubPlace.HERE else "later", number)
            return
        copies = self.connections[number].copies
        copies.remove(f"wire {link}")
        came = wire.hub not in self.faults
        if came:
            copies.append(wire.hub)
        self._receive(wire.hub, r.PassArrived(int(link), number, came, hub.place))

    def _receive(self, name: str, event: r.ReceivingEvent) -> None:
        hub = self.hubs[name]
        for effect in hub.dials.handle(event):
            number = effect.number
            match effect:
                case r.TakeDial(link):
                    if name not in self.connections[number].copies:
                        raise WrongDial(f"{name} takes the connection of client {number}, which has not come")
                    if not self.wires[link].open:
                        self.connections[number].copies.remove(name)
                        continue
                    if self.writes_first:
                        self._write_101(number, name)
                    else:
                        self._reply(link, "taken", number)
                    hub.taking.append(number)
                case r.DropDial(link, _, because):
                    if name in self.connections[number].copies:
                        self.connections[number].copies.remove(name)
                    if because is not None:
                        self._reply(link, "not taken", number)

    def _reply(self, link: int, what: str, number: int) -> None:
        if self.wires[link].open:
            self.wires[link].to_worker.append((what, number))

    def _write(self, name: str, number: str) -> None:
        self.hubs[name].taking.remove(int(number))
        if self.writes_first:
            [link] = [link for link, wire in self.wires.items() if wire.hub == name]
            self._reply(link, "taken", int(number))
        else:
            self._write_101(int(number), name)

    def _write_101(self, number: int, name: str) -> None:
        self.connections[number].told.append(f"101 of {name}")

    def _no(self, descriptor: str, name: str) -> None:
        self.faults.discard("descriptors")
        self.faults.add(name)

    def _freeze(self) -> None:
        self.hubs["first"].place = r.HubPlace.UNSURE
        self.faults.discard("move")

    def _thaw(self) -> None:
        self.hubs["first"].place = r.HubPlace.HERE
        self._receive("first", r.PlaceIs(r.HubPlace.HERE))

    def _commit(self, here: str = "") -> None:
        self.hubs["first"].place = r.HubPlace.GONE
        if here:
            # All that came before the commit is read before it; the link stays open.
            while self.wires[1].to_worker:
                self._worker("reads", "1")
        self._receive("first", r.PlaceIs(r.HubPlace.GONE))
        if here:
            self.here = "one"
            self._see(d.HubIsHere("one"))
            return
        self._reply(1, "moved", 0)
        self._shut(1)
        self.hubs["second"] = HubSide("one", r.HubPlace.HERE, self.make_hub())

    def _connect(self, link: str) -> None:
        self.wires[2] = Wire("second", open=self.hubs["second"].alive)
        self._see(d.LinkOpened(2, "one"))

    def _kill(self, name: str) -> None:
        self.faults.discard("kill")
        hub = self.hubs[name]
        hub.alive = False
        hub.taking.clear()
        for connection in self.connections.values():
            connection.copies = [one for one in connection.copies if one != name]
        for number, wire in self.wires.items():
            if wire.hub == name:
                self._shut(number)

    def _shut(self, link: int) -> None:
        self.wires[link].open = False
        self._lose(link)

    def _lose(self, link: int) -> None:
        """What nobody will read any more, and the descriptors in it."""
        wire = self.wires[link]
        wire.to_hub.clear()
        for connection in self.connections.values():
            connection.copies = [one for one in connection.copies if one != f"wire {link}"]

    def _elect(self, whom: str) -> None:
        if whom == "here":
            self.here = "two"
            self._see(d.HubIsHere("two"))
            return
        self.hubs["third"] = HubSide("two", r.HubPlace.HERE, self.make_hub())
        self.wires[3] = Wire("third")
        self._see(d.LinkOpened(3, "two"))

    # -- what must hold -----------------------------------------------------------------------

    def check(self) -> None:
        for number, connection in self.connections.items():
            if len(connection.told) > 1:
                raise WrongDial(f"client {number} is told {' and '.join(connection.told)}")
        long = sum(self.worker.wait_of(number) == RULES.wait for number in self.connections)
        if long > RULES.most_waiting:
            raise WrongDial(f"{long} request threads wait for long")
        kept = sum("worker" in one.copies for one in self.connections.values())
        if kept > RULES.most_copies:
            raise WrongDial(f"{kept} connections are kept")

    def _nobody_else(self, number: int) -> None:
        others = [one for one in self.connections[number].copies if one in self.hubs or "wire" in one]
        taken = [name for name, hub in self.hubs.items() if number in hub.taking]
        if taken or others:
            raise WrongDial(f"client {number} is answered, and {(taken or others)[0]} has its connection")

    def check_the_end(self) -> None:
        """Nothing more can happen."""
        if self.worker.copies or self.worker.waiting:
            raise WrongDial(f"{self.worker.copies} connections and {self.worker.waiting} threads are left")
        held = sum(hub.dials.held for hub in self.hubs.values() if hub.alive)
        if held:
            raise WrongDial(f"a hub holds {held} connections for ever")
        for number, connection in self.connections.items():
            if self.stage[number] != "over":
                raise WrongDial(f"dial {number} has never ended")
            if not connection.told and connection.copies:
                raise WrongDial(f"client {number} is told nothing, and {connection.copies} keeps it")

    def key(self) -> str:
        """Equal for worlds in which the same can happen from now on."""
        return (
            repr((self.now, sorted(self.faults), self.here, self.stage, self.connections, self.wires))
            + repr(
                [(name, hub.place, hub.taking, hub.alive, held_by(hub)) for name, hub in self.hubs.items()]
            )
            + repr(vars(self.worker))
        )


def held_by(hub: HubSide) -> Any:
    return vars(hub.dials)


def explore(world: DialWorld) -> tuple[int, int]:
    """Go through every order; give how many worlds and how many ends there are.

    Raises: WrongDial, which tells the order.
    """
    seen: set[str] = set()
    ends = 0
    waiting: list[tuple[DialWorld, tuple[str, ...]]] = [(world, ())]
    while waiting:
        here, order = waiting.pop()
        steps = here.can()
        written = pickle.dumps(here)  # several times as fast as copy.deepcopy
        try:
            if all(one.startswith(OPTIONAL) for one in steps) and here.worker.next_at() is None:
                ends += 1
                here.check_the_end()
            for step in steps:
                there: DialWorld = pickle.loads(written)
                there.do(step)
                key = there.key()
                if key not in seen:
                    seen.add(key)
                    waiting.append((there, (*order, step)))
        except WrongDial as error:
            raise WrongDial(
                f"{error}; in the order {', '.join((*order, step if steps else 'the end'))}"
            ) from None
    return len(seen), ends
