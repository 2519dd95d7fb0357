"""The pages whose code people copy, in a browser: the README, the quickstart, and the one about presence.

The code is taken out of the page, and runs as its reader would run it, but on another port. Nothing that
somebody types may be lost in silence, whatever becomes of the server.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.browser import Browser, Page, browser, chromium  # noqa: F401  (fixtures)
from tests.integration.servers import HOST
from tests.test_docs import ROOT, blocks_of

# Chromium alone takes seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(120)

LOWEST = 21_000
"""Below the ports that a system gives away: nobody gets ours while the server is down."""


# A shell has Ctrl-C ignored by what it runs in the background, such as these tests.
AS_IN_A_TERMINAL = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


class Program:
    """A program out of a page. It can be killed and started again, on the same port."""

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        first = LOWEST + os.getpid() % 10_000  # another run of the tests begins elsewhere
        self.port = next(port for port in range(first, first + LOWEST // 2) if is_free(port))
        code = file.read_text("utf-8").replace("port=5000", f"port={self.port}")
        assert str(self.port) in code
        file.write_text(code, "utf-8")
        self._command = [sys.executable, "-c", AS_IN_A_TERMINAL, file.name]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it says that it listens."""
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if f":{self.port}" in line:
                return
        pytest.fail(f"it did not start:\n{said}")

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it, by Ctrl-C or otherwise."""
        self._process.send_signal(number)
        self._process.communicate(timeout=30)


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
        except OSError:
            return False
        return True


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Run a file of ``tmp_path``; it is killed with the test."""
    programs: list[Program] = []

    def start(name: str) -> Program:
        programs.append(Program(tmp_path / name))
        return programs[-1]

    yield start
    for program in programs:
        program.stop(signal.SIGKILL)


STATE = "document.querySelector('p').textContent"


class Chat:
    """A page with a form and a log."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def say(self, text: str) -> None:
        self.page.type("input", text)
        self.page.click("button")

    def field(self) -> str:
        return str(self.page.run("return document.querySelector('input').value"))

    def state(self) -> str:
        return self.page.text("p")

    def said(self) -> list[str]:
        """What everybody said, without who said it."""
        lines = self.page.text("pre").splitlines()
        return [re.sub(r"^\w+: |^said [\w-]+,", "", line) for line in lines if re.match(r"\w+: |said ", line)]

    def has(self, *texts: str) -> None:
        self.page.wait(lambda: self.said() == [*texts], f"it to show {texts}")

    def dial(self) -> None:
        """Dial now, not after a pause: as if the network were back."""
        self.page.run("dispatchEvent(new Event('online'))")

    def reload(self) -> None:
        self.page.reload()


def test_the_page_of_the_readme_loses_nothing_that_is_typed(
    tmp_path: Path,
    run: Callable[[str], Program],
    browser: Browser,  # noqa: F811
) -> None:
    """While the server is down, over a restart of it, and over a reload; and the log is still there."""
    browser.expected_complaints += ["net::ERR_", "favicon", "WebSocket connection to"]
    (code, *_) = (
        block.code
        for block in blocks_of((ROOT / "README.md").read_text("utf-8"))
        if block.language == "python"
    )
    (tmp_path / "app.py").write_text(code, "utf-8")
    server = run("app.py")
    url = f"http://{HOST}:{server.port}/"
    ada, bob = Chat(browser.open(url)), Chat(browser.open(url))
    for chat in (ada, bob):
        chat.page.wait(lambda chat=chat: chat.state() == "", "it to be connected")
    ada.say("hello")
    for chat in (ada, bob):
        chat.has("hello")

    ada.reload()
    ada.has("hello")
    bob.say("still there?")
    ada.has("hello", "still there?")
    assert "new one begins" not in ada.page.text("pre")

    server.stop()
    ada.page.wait(lambda: "what you say waits" in ada.state(), "the page to say that it is not connected")
    ada.say("typed while it was down")
    assert ada.field() == ""
    server.start()
    for chat in (bob, ada):
        chat.dial()
        chat.page.wait(lambda chat=chat: chat.state() == "", "it to be connected again")

    for chat in (ada, bob):
        # What the old server had heard, and not acknowledged yet, is said again as well. Bob may have come
        # back after Ada, by a pause of his own, and the new server keeps nothing for him until then.
        if chat is ada:
            chat.page.wait(lambda: "typed while it was down" in ada.said(), "it to show what was typed")
        assert chat.said()[:2] == ["hello", "still there?"]
        assert "new one begins" in chat.page.text("pre")
    assert "(said again, perhaps for the second time: typed while it was down)" in ada.page.text("pre")


def test_the_page_of_the_quickstart_says_what_it_has_not_sent(
    tmp_path: Path,
    run: Callable[[str], Program],
    browser: Browser,  # noqa: F811
) -> None:
    """It keeps nothing for the next connection, so the text stays in the field. The log is still there."""
    browser.expected_complaints += ["net::ERR_", "favicon", "WebSocket connection to"]
    blocks = list(blocks_of((ROOT / "docs" / "tour" / "quickstart.md").read_text("utf-8")))
    (tmp_path / "static").mkdir()
    for name, language in (("chat.py", "python"), ("static/live.js", "js"), ("static/index.html", "html")):
        first = next(block.code for block in blocks if block.language == language)
        (tmp_path / name).write_text(first, "utf-8")
    server = run("chat.py")
    ada = Chat(browser.open(f"http://{HOST}:{server.port}/index.html"))
    ada.page.wait(lambda: ada.state() == "open", "it to be connected")
    ada.say("hello")
    ada.has("hello")
    ada.reload()
    ada.has("hello")
    ada.page.wait(lambda: ada.state() == "open", "it to be connected again")

    server.stop()
    ada.page.wait(lambda: ada.state() != "open", "it to be away")
    ada.page.type("input", "typed while it was down")
    # In one step with the click: the next dial that fails has the last word.
    assert "not sent" in ada.page.run("document.querySelector('button').click(); return " + STATE)
    assert ada.field() == "typed while it was down"
    server.start()
    ada.dial()
    ada.page.wait(lambda: ada.state() == "open", "it to be connected again")
    ada.page.click("button")
    ada.has("hello", "typed while it was down")


def test_the_page_of_presence_is_right_through_tabs_reloads_and_drops(
    tmp_path: Path,
    run: Callable[[str], Program],
    browser: Browser,  # noqa: F811
) -> None:
    """A user is one line, online while any tab is connected, away while none is, and gone after a leave."""
    browser.expected_complaints += ["net::ERR_", "favicon", "WebSocket connection to"]
    blocks = blocks_of((ROOT / "docs" / "howto" / "presence.md").read_text("utf-8"))
    code = next(block.code for block in blocks if block.language == "python")
    (tmp_path / "app.py").write_text(code, "utf-8")
    server = run("app.py")
    url = f"http://{HOST}:{server.port}"

    def shows(page: Page, *lines: str) -> None:
        page.wait(lambda: page.texts("li") == [*lines], f"it to show {lines}")

    bob, ada = browser.open(f"{url}/?name=bob"), browser.open(f"{url}/?name=ada")
    for page in (bob, ada):
        shows(page, "ada: online", "bob: online")
    second = browser.open(f"{url}/?name=ada")
    shows(second, "ada: online", "bob: online")

    second.reload()
    shows(second, "ada: online", "bob: online")
    second.click("button")
    second.wait(lambda: second.text("p") == "closed", "it to leave")
    shows(bob, "ada: online", "bob: online")

    ada.run("location.assign('/resumehub.js')")  # the page is left, and may be visited again
    shows(bob, "ada: away", "bob: online")
    ada.run("history.back()")
    for page in (ada, bob):
        shows(page, "ada: online", "bob: online")

    ada.wait(lambda: ada.text("p") == "open", "it to be connected")
    ada.click("button")
    shows(bob, "bob: online")

    server.stop(signal.SIGKILL)
    bob.wait(lambda: bob.text("p") == "waiting", "it to be away")
    server.start()
    bob.run("dispatchEvent(new Event('online'))")
    bob.wait(lambda: bob.text("p") == "open", "it to be connected again")
    shows(bob, "bob: online")
