"""The story that each example plays: talk, be cut off, be told to wait, resume, expire, hear it, and stop.

The hub is real, on Werkzeug's server and behind a relay that cuts. Its clock goes with the time that the
story waits, and jumps where a session is to expire. The example says on its standard output what it sees.
Read next: ``relay.py``, ``page.py``.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug import Request
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.serving import WSGIRequestHandler, make_server

from resumehub import Connection, Hub, Message
from resumehub.testing import FakeClock

from .relay import HOST, CuttingRelay

PATIENCE = 40.0
"""Seconds that an example may take for one step; Go compiles in the first."""
TICK = 0.02
WINDOW = 30.0

STEPS = ("connected", "echoed", "waited", "resumed", "missed nothing", "heard the verdict", "stopped")
"""What an example does, in this order."""


class Stuck(Exception):
    """The example has not done in time what comes next."""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


class ClientStory:
    """One example's process and the hub that it meets. Threads: the story's own, but for ``_decide``."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.clock = FakeClock()
        self.hub = Hub(self._decide, clock=self.clock, resume_window=WINDOW)
        self.hub.on_message(self._echo)
        #: Of each dial that ``connect`` was asked about, whether it had resume intent.
        self.dials: list[bool] = []
        #: So many dials are told to come back in a second.
        self.later = 0
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._server = make_server(HOST, 0, self.hub.wsgi_app, threaded=True, request_handler=_Quiet)
        self._serving = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="story server")
        self._serving.start()
        self.relay = CuttingRelay(self._server.server_port)
        self.process = subprocess.Popen(
            [*command, f"ws://{HOST}:{self.relay.port}/ws?id=ada"],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reading = threading.Thread(target=self._read, name="story reader")
        self._reading.start()

    def _decide(self, request: Request) -> tuple[str, str]:
        self.dials.append(request.args.get("resume") == "true")
        if self.later:
            self.later -= 1
            raise ServiceUnavailable(retry_after=1)
        return "lobby", request.args["id"]

    @staticmethod
    def _echo(connection: Connection, message: Message) -> None:
        connection.send(Message("echo", message.payload))

    def _read(self) -> None:
        assert self.process.stdout is not None, "it is a pipe"
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def expect(self, *beginnings: str) -> str:
        """The next line with one of these beginnings; others are passed over. Raises: Stuck."""

        def comes() -> str:
            while True:
                line = self._lines.get_nowait()
                self.said.append(line)
                if line.startswith(beginnings):
                    return line

        return self._until(f"it does not say {' or '.join(beginnings)!r}", comes)

    def wait_for(self, what: str, condition: Callable[[], Any]) -> Any:
        """Wait until this is true. Raises: Stuck."""

        def comes() -> Any:
            if found := condition():
                return found
            raise queue.Empty

        return self._until(what, comes)

    def _until(self, what: str, comes: Callable[[], Any]) -> Any:
        never = threading.Event()
        for _ in range(int(PATIENCE / TICK)):
            try:
                return comes()
            except queue.Empty:
                never.wait(TICK)
                self.clock.advance(TICK)
        raise Stuck(what)

    def session(self) -> Connection | None:
        return self.hub.get("ada")

    def suspended(self) -> Connection | None:
        """The session, if it waits for its client."""
        found = self.session()
        return found if found is not None and found.suspended else None

    def leave(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stdout is not None, "it is a pipe"
        self.process.stdout.close()
        while not self._lines.empty():
            self.said.append(self._lines.get())
        self.relay.close()
        self.hub.close(5.0)
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()


@contextmanager
def _told(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[ClientStory]:
    story = ClientStory(command, folder, environment)
    try:
        yield story
    finally:
        story.leave()


def play(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What an example has done: its ``steps``, the ``verdict``, what it ``said``, and what went ``wrong``.

    Blocks: until it has stopped, or is stuck; then it is killed.
    """
    row: dict[str, Any] = {"steps": [], "verdict": "", "wrong": ""}
    with _told(command, folder, environment) as story:
        try:
            row["steps"] += _first_half(story)
            row["verdict"] = _second_half(story)
            row["steps"] += STEPS[5:6]
            story.process.wait(PATIENCE)
            row["steps"] += STEPS[6:7]
        except (Stuck, subprocess.TimeoutExpired) as error:
            row["wrong"] = str(error)
        if not row["wrong"] and (story.dials[0] or not all(story.dials[1:])):
            row["wrong"] = "its first dial must be without resume=true, and each later one with it"
    return {**row, "said": story.said}


def _first_half(story: ClientStory) -> Iterable[str]:
    story.expect("open")
    yield STEPS[0]
    story.expect("message hello")
    yield STEPS[1]
    story.later = 1
    story.relay.cut()
    story.wait_for("its session is not suspended", story.suspended).send(Message("told", "while away"))
    story.wait_for("it does not dial again", lambda: not story.later)
    before = len(story.dials)
    # The wait is the example's own: what it says must be no less than what it was asked for.
    while float(story.expect("wait").split()[1]) < 1:
        pass
    yield STEPS[2]
    story.wait_for("it does not come back", lambda: len(story.dials) > before)
    yield STEPS[3]
    story.expect("message while away")
    yield STEPS[4]


def _second_half(story: ClientStory) -> str:
    story.relay.cut(stay=True)
    story.wait_for("its session is not suspended", story.suspended)
    story.clock.advance(WINDOW + 1)
    story.wait_for("its session does not expire", lambda: story.session() is None)
    story.relay.mend()
    verdict = story.expect("verdict")
    return verdict.split()[1]
