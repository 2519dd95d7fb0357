"""A real browser and a real ``python -m resumehub serve``, for the tests of the demo page.

::

    from tests.integration.browser import browser, chromium, demo   # fixtures; used by name

* ``demo`` starts demo servers, each a process of its own on a port of its own, and ends them by SIGTERM;
* ``browser`` opens Chromium windows, and fails the test for whatever their consoles complained about.

Where there is no Chromium, or no chromedriver, the tests are skipped and say so.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0
"""Seconds for one condition to come true; a hang guard only."""


class DemoServer:
    """One ``python -m resumehub serve`` that has said where it listens."""

    def __init__(self, *options: str) -> None:
        self._told = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "resumehub", "serve", "--port", "0", *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        found = re.search(r"http://\S+/", first)
        if found is None:
            out, err = self.kill()
            pytest.fail(f"the demo did not start: {first}{out}{err}")
        self.url = found.group()

    def terminate(self) -> None:
        """Send SIGTERM, and wait for nothing; ``stop`` does that. A second one would end it at once."""
        self._process.terminate()
        self._told = True

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End it in order; give exit code and what it wrote, without its first line on stdout."""
        if not self._told:
            self._process.send_signal(number)
            self._told = True
        try:
            out, err = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            out, err = self.kill()
            pytest.fail(f"the demo did not end within {PATIENCE} s:\n{out}{err}")
        return self._process.returncode, out, err

    def kill(self) -> tuple[str, str]:
        """End it at once, whatever it does, and have it print the stacks of its threads."""
        self._process.send_signal(signal.SIGABRT)
        return self._process.communicate()


@pytest.fixture
def demo() -> Iterator[Callable[..., DemoServer]]:
    """Start demo servers with ``demo("--resume-window", "5")``; they end with the test, by SIGTERM."""
    servers: list[DemoServer] = []

    def start(*options: str) -> DemoServer:
        servers.append(DemoServer(*options))
        return servers[-1]

    yield start
    # All are stopped before any is judged.
    ends = [server.stop() for server in servers]
    assert [(code, err) for code, _, err in ends] == [(0, "")] * len(ends), "a demo did not end in order"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One headless Chromium for all tests of a module; see ``browser``."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("needs Chromium and chromedriver on the PATH: install chromium and chromium-driver")
    selenium = pytest.importorskip(
        "selenium.webdriver", reason="needs selenium: pip install 'resumehub[test]'"
    )
    options = selenium.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        # A page in a window behind another one would have its timers slowed down.
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--window-size=1280,1100",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """Open pages in windows of their own; in the end their consoles must have nothing to complain about."""
    browser = Browser(chromium)
    yield browser
    browser.close()


class Browser:
    """Windows of one Chromium. Each has its own sessionStorage, like a visitor of its own."""

    def __init__(self, chrome: Any) -> None:
        self.chrome = chrome
        self._first = chrome.current_window_handle
        self._pages: list[Page] = []
        self.expected_complaints: list[str] = []
        """Texts that may occur in the console, such as the status of a preflight."""
        chrome.get_log("browser")

    def open(self, url: str) -> Page:
        self.chrome.switch_to.new_window("tab")
        page = Page(self.chrome, self.chrome.current_window_handle)
        self._pages.append(page)
        self.chrome.get(url)
        return page

    def adopt(self, open_window: Callable[[], Any]) -> Page:
        """Give the window that a page opens in ``open_window``; it is closed with the others."""
        before = set(self.chrome.window_handles)
        open_window()
        (window,) = set(self.chrome.window_handles) - before
        page = Page(self.chrome, window)
        self._pages.append(page)
        return page

    def complaints(self) -> list[str]:
        """What the consoles said since the last call, other than what a test expects."""
        said = [f"{entry['level']}: {entry['message']}" for entry in self.chrome.get_log("browser")]
        return [line for line in said if not any(text in line for text in self.expected_complaints)]

    def close(self) -> None:
        """Close the windows; fails for complaints, which chromedriver keeps per window."""
        complaints = []
        for page in self._pages:
            page.focus()
            complaints += self.complaints()
            self.chrome.close()
        self.chrome.switch_to.window(self._first)
        if complaints:
            pytest.fail("the browser's console complained:\n" + "\n".join(complaints))


class Page:
    """One window with the demo page in it; every call brings it to the front first."""

    def __init__(self, chrome: Any, window: str) -> None:
        self.chrome = chrome
        self._window = window

    def focus(self) -> None:
        self.chrome.switch_to.window(self._window)

    def run(self, script: str, *arguments: Any) -> Any:
        self.focus()
        return self.chrome.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        """Click as soon as the element can be clicked."""
        found = self.wait(
            lambda: next(
                (one for one in self._find(selector) if one.is_displayed() and one.is_enabled()), None
            ),
            f"{selector} to be clickable",
        )
        self.run("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", found)

    def type(self, selector: str, text: str) -> None:
        self.focus()
        field = self._find(selector)[0]
        field.clear()
        field.send_keys(text)

    def text(self, selector: str) -> str:
        """The text of the first element, "" if there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(one => one.textContent)"
        return list(self.run(script, selector))

    def attribute(self, selector: str, name: str) -> str:
        script = "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? ''"
        return str(self.run(script, selector, name))

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until ``condition`` gives something true, and give that; ``what`` completes "waited for"."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        self.focus()
        try:
            return WebDriverWait(self.chrome, PATIENCE, poll_frequency=0.05).until(lambda _: condition())
        except TimeoutException:
            state = self.text("body")
            pytest.fail(f"waited {PATIENCE} s for {what}; the page says:\n{state}")

    def wait_until(self, selector: str, name: str, value: str) -> None:
        """Wait until an attribute of the first element has this value."""
        self.wait(lambda: self.attribute(selector, name) == value, f"{selector} to have {name}={value!r}")

    def wait_until_log(self, text: str) -> None:
        """Wait until the chat shows this text."""
        self.wait(lambda: text in self.text("#log"), f"{text!r} in the chat")

    def wait_until_verdict(self, verdict: str) -> None:
        """Wait until the card on top shows this outcome, one of the keys in static/demo_story.js."""
        self.wait(lambda: self.attribute("#verdict", "data-verdict") == verdict, f"the verdict {verdict!r}")

    def join(self, name: str, room: str = "lobby", protocol: str = "lossless") -> None:
        self.type("#name", name)
        self.type("#room", room)
        self.choose("protocol", protocol)
        self.click("#join-form button")
        self.wait_until_verdict("joined")

    def reload(self) -> None:
        self.focus()
        self.chrome.refresh()

    def say(self, text: str) -> None:
        self.type("#say", text)
        self.click("#say-form button")

    def choose(self, name: str, value: str) -> None:
        """Choose a segment, such as ``hold`` 3."""
        self.run(
            "document.querySelector(`input[name=${arguments[0]}][value='${arguments[1]}']`).click()",
            name,
            value,
        )

    def press(self, selector: str, key: str) -> None:
        """Press a key, by its name in selenium's ``Keys``, on an element."""
        from selenium.webdriver.common.keys import Keys

        self._find(selector)[0].send_keys(getattr(Keys, key))

    def resize(self, width: int, height: int) -> None:
        """Make this page as wide as some screen, in CSS pixels; narrower than a window can be, if need be."""
        self.focus()
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def is_in_view(self, selector: str) -> bool:
        """True when the whole element is on the screen, and nothing lies over its middle."""
        script = """
            const one = document.querySelector(arguments[0]);
            const { left, right, top, bottom } = one.getBoundingClientRect();
            if (top < 0 || bottom > innerHeight) return false;
            return one.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));"""
        return bool(self.run(script, selector))

    def overflow(self) -> list[str]:
        """Name the elements that stick out of the screen sideways."""
        script = """
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll('body *')]
                .filter(one => one.getBoundingClientRect().right > width + 1)
                .map(one => `${one.tagName} ${one.id} ${one.getAttribute('class')}`)"""
        return list(self.run(script))

    def _find(self, selector: str) -> list[Any]:
        self.focus()
        return list(self.chrome.find_elements("css selector", selector))
