"""The hub's end of dials: answers the questions of workers, and takes the connections that they pass.

``HubDials`` (``core/cluster/receiving.py``) decides; the door says where the hub is. What is done with the
hub is done inside the door, so a move sees a connection wholly taken or not at all. Called on the threads of
the links, which it never holds up: a connection that comes while the hub is about to move is held, and the
door tells when that is over. Read next: ``dial_client.py``, the other end.
"""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ...core.cluster import receiving as r
from ...core.cluster.dial_events import NotTakenBecause
from ...errors import LinkBroken
from ...runtime.foreign_code import Log
from ...server.hub_runner import HubRunner
from ...transport.sockets import PlainSocket
from ...transport.websocket import WebSocketTransport
from ..door import Door
from ..link import NO_DESCRIPTOR, Link, close_all
from ..member_parts import LinkHandler
from . import dial_messages as m

log = Log(__name__)

_servers: weakref.WeakSet[DialServer] = weakref.WeakSet()


class DialServer:
    """One process's, whether it holds the hub or not. Methods: any thread, unless said otherwise."""

    def __init__(self, runner: HubRunner, door: Door) -> None:
        self._runner = runner
        self._door = door
        self._lock = runner.runtime.lock("the dials of workers")
        self._dials = r.HubDials()
        # By the link and the worker's number: what has arrived and is neither taken nor dropped.
        self._arrived: dict[tuple[int, int], _Arrived] = {}
        door.tell(self.settle)
        _servers.add(self)

    @property
    def handlers(self) -> Mapping[type, LinkHandler]:
        """What the hub does with workers' messages. On the thread of each link."""
        return {m.DialLook: self._look, m.EndWithGap: self._end_with_gap, m.DialPass: self._passed}

    @property
    def held(self) -> int:
        """So many connections wait until it is known where the hub is."""
        return self._dials.held

    def settle(self) -> None:
        """The door has opened, here or elsewhere: take or drop what is held. Never blocks."""
        if not self._dials.held:
            return
        entered = self._door.enter_nowait()
        try:
            with self._lock:
                self._do(r.PlaceIs(self._place(entered)))
        finally:
            if entered:
                self._door.leave()

    # -- the threads of links -----------------------------------------------------------------

    def _look(self, link: Link, message: m.DialLook, _: Sequence[int]) -> None:
        if not self._runner.takes() or not self._door.enter_nowait():
            _answer(link, m.DialLater(message.number))
            return
        try:
            found = self._runner.look(message.connection_id, message.key, message.received)
            may_refuse = self._runner.may_refuse_by_close()
        finally:
            self._door.leave()
        _answer(link, m.DialLooked(message.number, found, may_refuse))

    def _end_with_gap(self, link: Link, message: m.EndWithGap, _: Sequence[int]) -> None:
        """Waits for the hub thread, which waits for nobody."""
        if not self._door.enter_nowait():
            _answer(link, m.DialLater(message.number))
            return
        try:
            self._runner.gap_found(message.connection_id, message.life, message.generation)
        finally:
            self._door.leave()
        _answer(link, m.EndedWithGap(message.number))

    def _passed(self, link: Link, message: m.DialPass, descriptors: Sequence[int]) -> None:
        descriptor = descriptors[0] if len(descriptors) == 1 else NO_DESCRIPTOR
        entered = self._door.enter_nowait()
        try:
            with self._lock:
                if (id(link), message.number) in self._arrived:
                    close_all([descriptor])
                    raise ValueError("it passes two connections with one number")
                self._arrived[id(link), message.number] = _Arrived(link, message, descriptor)
                came = descriptor != NO_DESCRIPTOR
                self._do(r.PassArrived(id(link), message.number, came, self._place(entered)))
        finally:
            if entered:
                self._door.leave()
        # The door may have opened in between, and told of it when nothing was held.
        self.settle()

    # -- with the lock held -------------------------------------------------------------------

    def _place(self, entered: bool) -> r.HubPlace:
        if entered:
            return r.HubPlace.HERE if self._runner.takes() else r.HubPlace.CLOSED
        return r.HubPlace.UNSURE if self._door.is_shut else r.HubPlace.GONE

    def _do(self, event: r.ReceivingEvent) -> None:
        for effect in self._dials.handle(event):
            match effect:
                case r.TakeDial(link, number):
                    self._take(self._arrived.pop((link, number)))
                case r.DropDial(link, number, because):
                    arrived = self._arrived.pop((link, number))
                    close_all([arrived.descriptor])
                    if because is not None:
                        _answer(arrived.link, m.DialNotTaken(number, because))

    def _take(self, arrived: _Arrived) -> None:
        """Inside the door. From ``send_now`` on the connection is the hub's, and only then it is touched."""
        link, message, descriptor = arrived.link, arrived.message, arrived.descriptor
        try:
            taken = link.send_now(m.DialTaken(message.number))
        except LinkBroken:
            close_all([descriptor])
            return
        if not taken:
            close_all([descriptor])
            _answer(link, m.DialNotTaken(message.number, NotTakenBecause.NOT_READ))
            return
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError as error:
            close_all([descriptor])
            log.error("a worker has passed what is no connection (%s)", error)
            return
        transport = WebSocketTransport(
            PlainSocket(sock, self._runner.runtime, movable=True),
            self._runner.config.max_message_size,
            leftover=message.read_ahead,
        )
        self._runner.register(
            transport,
            message.registration(),
            data=message.data,
            handshake_response=message.head,
            subprotocol=message.subprotocol,
        )

    def after_fork_in_child(self) -> None:
        """In a forked child: close its copies. The parent's connections live on; no lock is taken."""
        for arrived in self._arrived.values():
            close_all([arrived.descriptor])
        self._arrived = {}
        self._dials = r.HubDials()
        self._lock = self._runner.runtime.lock("the dials of workers")


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A connection that a worker has passed. ``descriptor``: NO_DESCRIPTOR if none has arrived."""

    link: Link
    message: m.DialPass
    descriptor: int


def _answer(link: Link, answer: object) -> None:
    with suppress(LinkBroken):  # its end comes on its own thread, and nobody waits any more
        link.send(answer)


def _after_fork_in_child() -> None:
    for server in list(_servers):
        server.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
