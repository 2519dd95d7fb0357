"""Sessions that are written down, and the file in which they wait: what a hub makes of damaged ones.

What must hold of a session's bytes: a SessionStateError, or a state that is written down again as bytes that
are read as the same state; and a hub that is given it either refuses it by that error and is as before, or
has it, with the core's invariants, and comes to a complete end. Of a file: whatever is in it, the records in
front of the damage come out as they were, and nothing but a ClusterError is raised. Read next:
``control.py``.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from resumehub import Hub
from resumehub.cluster.folder import Folder
from resumehub.cluster.parking.disk import Disk
from resumehub.cluster.parking.park_file import SESSION, ParkHead, Record, forget_park, take_park, write_park
from resumehub.core.invariants import broken
from resumehub.errors import ClusterError, NotMovable, SessionStateError
from resumehub.server.moving import adopt_session, export_session
from resumehub.session.session_state import SessionState, decode, encode
from resumehub.testing import Lab, client_frame
from tests.moving.world import ID, Life, Wire, WireEnd
from tools.fuzzing.choices import Choices

from .quiet import quiet
from .values import damaged

SEEDS: Final = (b"", *(bytes([at, 1, at, at, at, 3, 7, 20, 1]) for at in range(8)), b"\3" * 20)


def run(data: bytes) -> None:
    choices = Choices(data)
    with quiet():
        if choices.yes(8):
            _file(choices)
        else:
            _session(choices)


def _session(choices: Choices) -> None:
    whole = choices.pick(written())
    match choices.below(4):
        case 0:
            found = choices.damage(whole)
        case 1:
            rest = choices.damage(whole[8:])
            found = whole[:4] + zlib.crc32(rest).to_bytes(4) + rest
        case _:
            found = _other_document(whole, choices)
    try:
        state = decode(found)
    except SessionStateError:
        return
    again = encode(state)
    assert decode(again) == state or "nan" in repr(again), "it is read again as another state"
    assert encode(decode(again)) == again, "it has two encodings"
    _adopt(state)


def _other_document(whole: bytes, choices: Choices) -> bytes:
    """Another value at some place of its JSON, with sound lengths and a sound checksum around it."""
    size = int.from_bytes(whole[10:14])
    front, body = whole[8 : 14 + size], whole[14 + size :]
    length = int.from_bytes(body[:8])
    document = json.loads(body[8 : 8 + length])
    for _ in range(1 + choices.below(2)):
        document = damaged(document, choices)
    head = json.dumps(document, separators=(",", ":")).encode()
    rest = front + len(head).to_bytes(8) + head + body[8 + length :]
    return whole[:4] + zlib.crc32(rest).to_bytes(4) + rest


def _adopt(state: SessionState) -> None:
    """In a hub, under the lab's scheduler: it is refused by name, or it lives and ends as any other."""
    with Lab(stop_at_locks=False) as lab:
        hub = Hub(clock=lab.clock, _runtime=lab.runtime)
        loop = hub.runner.start()
        wire = Wire(lab.runtime, None)
        try:
            adopt_session(loop, lab.runtime, state, WireEnd(wire) if state.transport is not None else None)
        except (SessionStateError, NotMovable):
            assert not loop.machine.sessions, "it was refused, and is there"
            assert not loop.transports, "it was refused, and its transport is there"
        lab.run_until_idle()
        _sound(loop)
        for seconds in (1.0, 15.0, 40.0):
            lab.clock.advance(seconds)
            lab.run_until_idle()
            _sound(loop)
        wire.change(lambda: setattr(wire, "gone", True))
        lab.run_until_idle()
        _sound(loop)
        assert hub.close(60.0).complete, "the hub that has adopted it comes to no end"
        stats = hub.stats()
        settled = stats.acknowledged + stats.written + stats.dropped + stats.expired + stats.closed
        assert stats.accepted == settled + stats.held, f"the sums are wrong: {stats}"


def _sound(loop: Any) -> None:
    assert not (sentences := broken(loop.machine)), "; ".join(sentences)


@cache
def written() -> tuple[bytes, ...]:
    """Some lives, connected and suspended, of both kinds of clients, as bytes."""
    return tuple(_lives())


def _lives() -> Iterator[bytes]:
    for v1 in (False, True):
        for drop in (False, True):
            for window in (None, 60):
                with quiet(), Lab(stop_at_locks=False) as lab:
                    life = Life(lab, v1=v1, window=window, send_buffer=4)
                    life.say(client_frame("text", b'{"event":"hi","payload":[1]}'))
                    life.say(client_frame("text", b'{"event":"later","payload":1,"id":"a"}'))
                    for text in ("one", "x" * 100, "three"):
                        life.send(text)
                    life.join("news")
                    life.say(client_frame("text", b'{"event":"half')[:12])
                    if drop:
                        life.drop()
                        life.send("for later")
                    loop = life.hub.runner.loop
                    assert loop is not None, "a life has begun"
                    left = export_session(loop, lab.runtime, ID)
                    if left.transport is not None:
                        left.transport.release()
                    life.end()
                yield encode(left.state)


def _file(choices: Choices) -> None:
    records = [Record(SESSION, choices.bytes(60) if choices.yes() else written()[at], at) for at in range(3)]
    with tempfile.TemporaryDirectory(prefix="resumehub-fuzz-") as place:
        folder, disk = Folder(place), Disk()
        write_park(disk, folder, ParkHead(1000.5, "life", "1.0"), records, limit=1 << 30)
        path = Path(folder.parked)
        whole = path.read_bytes()
        found = choices.damage(whole)
        path.write_bytes(found)
        try:
            reader = take_park(disk, folder)
        except ClusterError:
            return
        read = [record.data for record in reader.records] if reader is not None else []
        forget_park(disk, folder)
        sent = [record.data for record in records]
        assert found != whole or read == sent, "a sound file was read otherwise"
        # A checksum of 32 bits is no proof; damage by a few bytes never passes it.
        assert all(data in sent for data in read), "a record came out that was never put in"
        assert not list(Path(place).iterdir()), "a file is left"
