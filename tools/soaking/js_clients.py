"""Clients of resumehub.js among the clients that count: some in one node, one on a page in Chromium.

Each is a ``Counted`` of ``tests/cluster/members.py``. They send by themselves, and are asked how they are:
that is a question to node, or to the page, so answers are kept for a moment. Called by the thread of
``reload_run.py`` and by those of the crowd. Read next: ``counting_client.js``.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from resumehub import Message
from tests.cluster.gate import until
from tests.cluster.harness import Cluster

_FRESH = 0.05
"""Seconds for which an answer is good enough."""


class Asked(Protocol):
    """Some clients in one program. Each order is answered with a list, one item for each client."""

    def order(self, word: str) -> list[dict[str, Any]]:
        """``look``, ``tell``, ``again``, ``hush`` or ``bye``. Blocks: until it is answered."""


class InNode:
    """All clients in one process of node. Raises: OSError when it can't be started."""

    def __init__(self, cluster: Cluster, room: str, names: Sequence[str], pace: float, window: int) -> None:
        node = shutil.which("node")
        assert node is not None, "node is not on the PATH: install it, or say --without node"
        script = Path(__file__).with_name("node_clients.mjs")
        # Without the option, Node 20 has no WebSocket.
        command = [node, "--experimental-websocket", "--no-warnings", str(script), cluster.server.ws_url]
        self._process = subprocess.Popen(
            [*command, room, str(pace), str(window), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, word: str) -> list[dict[str, Any]]:
        """See ``Asked``. Raises: AssertionError when node has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"node has ended with {self._process.wait()}"
        if word == "bye":
            self._process.communicate(timeout=20.0)
        return list(json.loads(line) or [])


class OnPage:
    """One client, on a page in a Chromium of its own. Raises: what selenium raises when there is none."""

    def __init__(self, cluster: Cluster, room: str, name: str, pace: float, window: int) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for binary in ("chromium", "chromium-browser", "google-chrome"):
            options.binary_location = options.binary_location or shutil.which(binary) or ""
        for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"):
            options.add_argument(argument)
        # A page that nobody looks at would have its timers slowed down.
        for what in (
            "background-timer-throttling",
            "backgrounding-occluded-windows",
            "renderer-backgrounding",
        ):
            options.add_argument(f"--disable-{what}")
        driver = shutil.which("chromedriver")
        assert driver is not None, "chromedriver is not on the PATH: install it, or say --without page"
        self._chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        address = f"http://127.0.0.1:{cluster.server.port}"
        self._chrome.get(f"{address}/page?name={name}&room={room}&pace={pace}&window={window}")

    def order(self, word: str) -> list[dict[str, Any]]:
        """See ``Asked``."""
        script = {
            "hush": "clearInterval(traffic)",
            "bye": "clearInterval(traffic); client.close()",
        }.get(word, f"return window.client?.{word}()")
        answer = self._chrome.execute_script(script)
        if word == "bye":
            self._chrome.quit()
        return [answer] if answer is not None else []


class Group:
    """Clients in one program. ``members`` go into a crowd; ``leave`` ends the program."""

    def __init__(self, program: Asked, kind: str, room: str, names: Sequence[str]) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._answers: dict[str, list[dict[str, Any]]] = {}
        self._at: dict[str, float] = {}
        self._left = self._quiet = False
        self.members = [JsMember(self, kind, number, name, room) for number, name in enumerate(names)]

    def ask(self, word: str, number: int) -> dict[str, Any]:
        """What the client of this number says; of an answer that is fresh enough, if there is one."""
        with self._lock:
            if not self._left and time.monotonic() - self._at.get(word, 0.0) > _FRESH:
                self._answers[word] = self._program.order(word)
                self._at[word] = time.monotonic()
            answers = self._answers.get(word, [])
        return answers[number] if number < len(answers) else {}

    def order(self, word: str) -> None:
        """Have all clients do it."""
        with self._lock:
            if not self._left:
                self._program.order(word)
                self._at.clear()

    def hush(self) -> None:
        """Send nothing more."""
        if not self._quiet:
            self._quiet = True
            with contextlib.suppress(AssertionError):
                self.order("hush")

    def leave(self) -> None:
        """End all sessions, and the program. Again: nothing."""
        with self._lock, contextlib.suppress(AssertionError):  # it may have been ended with this process
            if not self._left:
                self._left = True
                self._program.order("bye")


class JsHeard:
    """What has come to one client: see ``Heard`` in ``tests/cluster/members.py``."""

    def __init__(self, group: Group, number: int) -> None:
        self._group, self._number = group, number
        self.others: list[Message] = []

    @property
    def echoes(self) -> int:
        return int(self._group.ask("look", self._number).get("echoes", 0))

    @property
    def received(self) -> int:
        return self.echoes

    @property
    def gap(self) -> float:
        return float(self._group.ask("look", self._number).get("gap", 0.0))

    @property
    def damaged(self) -> list[str]:
        return list(self._group.ask("tell", self._number).get("damaged", []))

    @property
    def lanes(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for lane, numbers in self._group.ask("tell", self._number).get("lanes", {}).items():
            how, _, who = lane.partition(" ")
            found[how, who] = [int(n) for n in numbers]
        return found

    def begin_again(self) -> None:
        self._group.order("again")


class JsMember:
    """One client. ``say`` does nothing, since it sends by itself."""

    life = 1

    def __init__(self, group: Group, kind: str, number: int, name: str, room: str) -> None:
        self._group, self._number = group, number
        self.kind, self.name, self.room = kind, name, room
        self.heard = JsHeard(group, number)

    def _look(self) -> dict[str, Any]:
        return self._group.ask("look", self._number)

    def wait_connected(self) -> None:
        until(lambda: self._look().get("connected"), f"{self.name} to be connected")

    @property
    def sent(self) -> int:
        return int(self._look().get("sent", 0))

    @property
    def dials(self) -> int:
        return int(self._look().get("dials", 0))

    @property
    def refused(self) -> int:
        return int(self._look().get("refused", 0))

    @property
    def why(self) -> str:
        return str(self._look().get("why", ""))

    @property
    def ended(self) -> bool:
        return bool(self.why)

    @property
    def doubtful(self) -> set[int]:
        return set(self._group.ask("tell", self._number).get("doubtful", []))

    def say(self, message: Message | None = None) -> None:
        """It sends by itself."""

    def hush(self) -> None:
        self._group.hush()

    def close(self) -> None:
        self._group.leave()
