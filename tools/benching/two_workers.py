"""A room whose members are spread over two workers: a scenario of ``tools/bench --cluster``.

Ours share a hub; those of python-socketio have a Redis message queue between them, on a Unix socket and
without any writing to disk, which is the best case for them. Called by ``clustered.py``. Read next:
``flows.py``, ``FanOut``.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from tempfile import TemporaryDirectory

from .contenders import Contender, gthread
from .dial import Unanswered
from .dialects import SocketIO
from .flows import FanOut, now
from .process import ServerProcess, pause
from .stage import Stage

MEMBERS = 500

REDIS_PEER = Contender("socketio, Redis", gthread("app_socketio", 300), SocketIO(), threads=4)
"""A request thread is held for each WebSocket: there must be as many."""

_BOOT = 10.0


def fan_out_over_two(stage: Stage, command: Sequence[str]) -> None:
    """Everybody hears what a client of the first worker says. ``command``: starts one of the two workers."""
    with (
        stage.elsewhere(tuple(command)) as first,
        first.elsewhere(tuple(command)) as second,
        closing(first.crowd("near")) as crowd,
        closing(second.crowd("far")) as far,
    ):
        crowd.grow(MEMBERS // 2)
        far.grow(MEMBERS // 2)
        for link in list(far.links.values()):
            far.remove(link)
            crowd.add([link])
        for window in stage.sizes.windows:
            count, took = FanOut(crowd, window).run(stage.sizes.seconds, at_least=2)
            name = f"fan-out to {MEMBERS} members of two workers, window {window}"
            stage.note(name, "deliveries/s", count * MEMBERS / took)
        crowd.leave()


def beside_redis(stage: Stage) -> None:
    """The same, of python-socketio with a Redis of its own. Raises: Unanswered without redis-server."""
    with redis_server(stage.server.processors) as url:
        fan_out_over_two(stage, ("env", f"BENCH_REDIS={url}", *gthread("app_socketio_redis", 300)))


@contextmanager
def redis_server(processors: list[int]) -> Iterator[str]:
    """Inside: the URL of a Redis that keeps nothing. Raises: Unanswered."""
    if shutil.which("redis-server") is None:
        raise Unanswered("there is no redis-server here; as root: apt-get install redis-server")
    with TemporaryDirectory(prefix="resumehub-bench-") as folder:
        path = f"{folder}/redis"
        options = ("--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder)
        with ServerProcess(("redis-server", *options), processors) as server:
            give_up = now() + _BOOT
            while not _listens(path):
                if now() > give_up:
                    raise Unanswered(f"redis-server does not listen: {server.log()}")
                pause(0.05)
            yield f"unix://{path}"


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0
