"""What a quiet client notices of four that flood: ``tools/bench --fairness``.

The server has a processor to itself, and runs as its users have it. The flooders are one process and the
quiet client another; they share a processor. The flooders write whatever the server takes: their pace is
what they get. The quiet client sends a message, waits for its echo, rests, and sends the next one.

Called by ``__main__.py``. Read next: ``process.py``.
"""

from __future__ import annotations

import multiprocessing
import select
import socket
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median

from .dialects import COMPRESSED, CONTINUATION, FIN, PING, PONG, TEXT, Dialect, Resumehub, Who, masked
from .process import ServerProcess, pause, prepare_machine
from .stage import at, milliseconds

FLOODERS = 4
REST = 0.005
"""Seconds between two messages of the quiet client."""

_BATCH = 64 * 1024


def _deflated(payload: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


_SAY = b'{"event":"say","payload":"0123456789"}'
_ALL = b'{"event":"all","payload":"0123456789"}'
_BIG = b'{"event":"say","payload":"' + b"x" * 16_000 + b'"}'


@dataclass(frozen=True)
class Flood:
    """What a flooder writes, again and again, and how many messages that is."""

    name: str
    wire: bytes
    messages: int

    @classmethod
    def of(cls, name: str, unit: bytes) -> Flood:
        times = max(1, _BATCH // len(unit))
        return cls(name, unit * times, times)


FLOODS = (
    Flood.of("small messages", masked(TEXT, _SAY)),
    Flood.of("large messages", masked(TEXT, _BIG)),
    Flood.of("empty messages", masked(TEXT, b"")),
    Flood.of(
        "fragments",
        masked(TEXT, _SAY[:1], flags=0)
        + b"".join(masked(CONTINUATION, _SAY[n : n + 1], flags=0) for n in range(1, len(_SAY) - 1))
        + masked(CONTINUATION, _SAY[-1:]),
    ),
    Flood.of("pings", masked(PING, b"")),
    Flood.of("pongs", masked(PONG, b"")),
    Flood.of("broadcasts", masked(TEXT, _ALL)),
    Flood.of("deflate", masked(TEXT, _deflated(_SAY), flags=FIN | COMPRESSED)),
)


class _Deflating(Resumehub):
    """A client that compresses each message by itself."""

    def headers(self, who: Who) -> str:
        return "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"


def _connect(address: tuple[str, int], name: str, dialect: Dialect) -> socket.socket:
    sock = socket.create_connection(address, timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(dialect.request(Who(name)))
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(1)
        if not more:
            raise ConnectionError(f"{name} was refused: {head!r}")
        head += more
    if b" 101 " not in head.split(b"\r\n")[0] + b" ":
        raise ConnectionError(f"{name} was refused: {head!r}")
    return sock


def _flood(address: tuple[str, int], flood: Flood, pipe: Connection) -> None:
    """A process of its own: write all that the server takes, read all that it sends.

    ``pipe``: "begin" sets the count to zero (all buffers on the way are full by then); "stop" asks for it.
    """
    dialect = _Deflating() if flood.name == "deflate" else Resumehub()
    socks = [_connect(address, f"flooder{number}", dialect) for number in range(FLOODERS)]
    left = {sock: memoryview(flood.wire) for sock in socks}
    for sock in socks:
        sock.setblocking(False)
    pipe.send("ready")
    wrote = 0
    while True:
        if pipe.poll():
            if pipe.recv() == "stop":
                break
            wrote = 0
        readable, writable, _ = select.select(socks, socks, [], 0.05)
        for sock in readable:
            if not sock.recv(1 << 18):
                raise ConnectionError(f"the server has closed a connection that floods with {flood.name}")
        for sock in writable:
            taken = sock.send(left[sock])
            wrote += taken
            left[sock] = left[sock][taken:] or memoryview(flood.wire)
    pipe.send(wrote * flood.messages / len(flood.wire))
    for sock in socks:
        sock.close()


class Quiet:
    """The client that floods nobody."""

    def __init__(self, address: tuple[str, int], patience: float) -> None:
        self._sock = _connect(address, "quiet", Resumehub())
        self._sock.settimeout(patience)

    def measure(self, seconds: float) -> list[float]:
        """The latencies of its echoes, in seconds."""
        message = masked(TEXT, b'{"event":"say","payload":"q"}')
        took = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            begun = time.perf_counter()
            self._sock.sendall(message)
            came = b""
            while b'"q"' not in came:  # there may be other people's broadcasts in front of it
                data = self._sock.recv(1 << 16)
                if not data:
                    raise ConnectionError("the server has closed the quiet connection")
                came = came[-2:] + data
            took.append(time.perf_counter() - begun)
            pause(REST)
        return took

    def close(self) -> None:
        self._sock.close()


def _percentiles(latencies: Sequence[float]) -> tuple[float, float]:
    return milliseconds(at(latencies, 0.5)), milliseconds(at(latencies, 0.99))


@dataclass(frozen=True)
class Row:
    """One flood: milliseconds of the quiet client, and messages a second of the flooders."""

    flood: str
    calm_p50: float
    calm_p99: float
    p50: float
    p99: float
    pace: float

    @property
    def bound(self) -> float:
        return max(10 * self.calm_p99, 20.0)


def line(row: Row) -> str:
    """A row for people."""
    verdict = "as asked" if row.p99 <= row.bound else "MORE"
    return (
        f"{row.flood:15} alone p50 {row.calm_p50:6.2f} p99 {row.calm_p99:6.2f} ms   beside four that flood "
        f"p50 {row.p50:7.2f} p99 {row.p99:7.2f} ms (asked: {row.bound:.0f}, {verdict})   "
        f"{row.pace:10,.0f} of theirs/s"
    )


def measure(flood: Flood, seconds: float, processors: list[int], command: tuple[str, ...]) -> Row:
    """Start a server, measure the quiet client alone, and beside the flooders."""
    with ServerProcess(command, processors) as server:
        quiet = _when_up(server)
        quiet.measure(0.5)
        calm = quiet.measure(seconds)
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_flood, args=(server.address, flood, theirs))
        process.start()
        ours.recv()
        quiet.measure(1.0)
        ours.send("begin")
        begun = time.perf_counter()
        loud = quiet.measure(seconds)
        ours.send("stop")
        wrote = ours.recv()
        spent = time.perf_counter() - begun
        process.join()
        quiet.close()
    return Row(flood.name, *_percentiles(calm), *_percentiles(loud), wrote / spent)


def _when_up(server: ServerProcess) -> Quiet:
    for _ in range(100):
        try:
            return Quiet(server.address, 60)
        except OSError:
            pause(0.1)
    raise ConnectionError("the server did not start")


def main(rounds: int, seconds: float, only: Iterable[str], say: Callable[[str], None]) -> list[Row]:
    """Measure each flood ``rounds`` times; the medians."""
    processors = prepare_machine()
    rows = []
    for flood in FLOODS:
        if only and not any(word in flood.name for word in only):
            continue
        word = "app_deflate" if flood.name == "deflate" else "app"
        command = (
            sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8", "--bind",
            "fd://{fd}", "--log-level", "critical", f"tools.benching.servers.app_resumehub:{word}",
        )  # fmt: skip
        measured = [measure(flood, seconds, processors, command) for _ in range(rounds)]
        row = Row(
            flood.name,
            *(
                median(getattr(one, name) for one in measured)
                for name in ("calm_p50", "calm_p99", "p50", "p99", "pace")
            ),
        )
        say(line(row))
        rows.append(row)
    return rows
