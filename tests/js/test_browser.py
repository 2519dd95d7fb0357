"""The JavaScript client in a real Chromium, against a real hub: what only a browser has.

Reloads, duplicated tabs and the browser's own idea of the network. The decisions behind it, step by step,
are tested in ``machine.test.js``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.browser import Browser, Page, browser, chromium  # noqa: F401  (fixtures)
from tests.integration.servers import ServerProcess, werkzeug

# Chromium alone takes seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with werkzeug("tests.js.page_app:app") as server:
        yield server


class Client:
    """A page with the client in it."""

    def __init__(self, page: Page, server: ServerProcess) -> None:
        self.page = page
        self._server = server

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        try:
            self.page.wait(condition, what)
        except pytest.fail.Exception as failure:
            pytest.fail(f"{failure}\nand its log: {self.log() if self.alive() else 'none'}")

    def alive(self) -> bool:
        return bool(self.page.run("return typeof log !== 'undefined'"))

    def open(self) -> Client:
        """Wait until it is connected."""
        self.wait(lambda: self.alive() and self.state() == "open", "the client to be connected")
        return self

    def state(self) -> str:
        return str(self.page.run("return session.state"))

    def tab(self) -> str:
        return str(self.page.run("return session.tab"))

    def send(self, payload: str) -> None:
        self.page.run("session.send('say', arguments[0])", payload)

    def log(self, kind: str = "") -> list[dict[str, Any]]:
        log = self.page.run("return window.log") or []
        return [entry for entry in log if kind in ("", entry["kind"])]

    def messages(self) -> list[str]:
        return [entry["payload"] for entry in self.log("message")]

    def cut(self) -> None:
        ask(self._server, f"/cut?id={self.tab()}")

    def network(self, up: bool) -> None:
        """Switch the browser's network: it fires ``online`` and ``offline`` as with a real one."""
        self.page.focus()
        conditions = {"offline": not up, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.page.chrome.execute_cdp_cmd("Network.enable", {})
        self.page.chrome.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


def ask(server: ServerProcess, path: str) -> Any:
    status, body = server.get(path)
    assert status == 200, body
    return json.loads(body)


def visit(browser: Browser, server: ServerProcess, query: str = "") -> Client:  # noqa: F811
    return Client(browser.open(f"{server.url}/{query}"), server).open()


def test_a_reload_goes_on_with_the_session(server: ServerProcess, browser: Browser) -> None:  # noqa: F811
    """Whichever of the two pages handles a message: it is handled once, and what was sent is, too."""
    ada = visit(browser, server)
    tab = ada.tab()
    ada.send("before")
    ada.wait(lambda: ada.messages() == ["before"], "the echo")

    ada.page.run("session.send('say', 'with the last breath'); location.reload()")
    ada.wait(lambda: ada.alive() and ada.log("restore"), "the session to go on")
    ask(server, "/say?text=after")
    ada.wait(lambda: "after" in ada.messages(), "what comes afterwards")

    assert ada.tab() == tab
    assert ada.log("connect") == []
    diary = json.loads(ada.page.run("return sessionStorage.diary"))
    assert diary == ["before", "with the last breath", "after"]
    assert ask(server, "/handled") == ["before", "with the last breath"]


@pytest.mark.parametrize("locks", [True, False], ids=["by locks", "by asking each other"])
def test_a_duplicated_tab_gets_a_session_of_its_own(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
    locks: bool,
) -> None:
    """A window that a page opens has a copy of its sessionStorage, as a duplicated tab has."""
    ada = visit(browser, server, "" if locks else "?nolocks")

    twin = Client(browser.adopt(lambda: ada.page.run("window.open(location.href)")), server).open()

    assert twin.page.run("return Object.keys(sessionStorage).length") > 0
    assert twin.tab() != ada.tab()
    assert twin.log("restore") == []
    ask(server, f"/say?text={quote('to both')}")
    for client in (ada, twin):
        client.wait(lambda client=client: client.messages() == ["to both"], "the broadcast")
    assert ada.log("drop") == ada.log("closed") == []


LOCKS = pytest.mark.parametrize("locks", ["", "&nolocks"], ids=["by locks", "by asking each other"])


class Frames:
    """A page with two frames, each with a session: window 0 is the page itself, 1 and 2 are the frames."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def run(self, where: int, script: str) -> Any:
        """Run ``script`` about the window ``w``."""
        return self.client.page.run(f"const w = {where} ? frames[{where} - 1] : window; {script}")

    def open(self) -> Frames:
        for where in range(3):
            self.client.wait(
                lambda where=where: self.run(where, "return w?.session?.state") == "open", f"window {where}"
            )
        return self

    def tabs(self) -> list[str]:
        return [str(self.run(where, "return w.session.tab")) for where in range(3)]


@LOCKS
def test_a_page_and_its_frames_keep_their_sessions_over_a_reload(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
    locks: str,
) -> None:
    """They share one sessionStorage, and none touches the record of another, with what it has to send."""
    page = Frames(Client(browser.open(f"{server.url}/?pause=3600000&frames=2{locks}"), server)).open()
    tabs = page.tabs()
    for where, tab in enumerate(tabs):
        ask(server, f"/cut?id={tab}")
        page.client.wait(
            lambda where=where: page.run(where, "return w.session.state") == "waiting", "the drop"
        )
        page.run(where, f"w.session.send('say', 'unsent by {where}')")

    page.client.page.reload()

    assert page.open().tabs() == tabs
    unsent = [f"unsent by {where}" for where in range(3)]
    page.client.wait(lambda: sorted(ask(server, "/handled")) == unsent, "what was not sent")
    assert [
        page.run(where, "return w.log.map(({kind}) => kind).includes('connect')") for where in range(3)
    ] == [False] * 3


@LOCKS
def test_a_frame_that_is_removed_and_added_again_goes_on_with_its_session(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
    locks: str,
) -> None:
    """The frame behind it has its place by then, and keeps its own session."""
    page = Frames(Client(browser.open(f"{server.url}/?frames=2{locks}"), server)).open()
    own, first, second = page.tabs()

    page.client.page.run("document.querySelector('iframe').remove(); frame()")

    assert page.open().tabs() == [own, second, first]
    assert page.client.log("drop") == []


@LOCKS
def test_a_page_that_comes_back_goes_on_where_the_next_one_has_stopped(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
    locks: str,
) -> None:
    """Chromium keeps the page that is left, since the client has let go of its socket and its lock."""
    ada = visit(browser, server, f"?{locks}")
    tab = ada.tab()
    ada.page.run("window.same = true")
    ada.page.run("location.href = arguments[0]", f"/?second{locks}")
    ada.wait(lambda: "second" in str(ada.page.run("return location.href")), "the next page")
    assert ada.open().tab() == tab
    ada.send("of the second page")
    ada.wait(lambda: ada.messages() == ["of the second page"], "the echo")

    ada.page.run("history.back()")

    ada.wait(lambda: ada.page.run("return window.same") and ada.log("restore"), "the first page to go on")
    assert [entry["elsewhere"] for entry in ada.log("restore")] == [1]
    assert (ada.open().tab(), ada.log("expired"), ada.log("closed")) == (tab, [], [])
    ada.send("of the first page")
    ada.wait(lambda: ada.messages() == ["of the first page"], "the echo")
    assert ask(server, "/handled") == ["of the second page", "of the first page"]
    assert json.loads(ada.page.run("return sessionStorage['resumehub.default.' + session.tab]"))["live"]


@LOCKS
def test_tabs_with_one_local_storage_keep_their_sessions_over_reloads(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
    locks: str,
) -> None:
    clients = [visit(browser, server, f"?local{locks}") for _ in range(2)]
    tabs = [client.tab() for client in clients]
    assert tabs[0] != tabs[1]

    for client in reversed(clients):
        client.page.reload()

    assert [client.open().tab() for client in clients] == tabs
    clients[0].page.run("localStorage.clear()")


def test_it_dials_at_once_when_the_browser_is_online_again(server: ServerProcess, browser: Browser) -> None:  # noqa: F811
    """Not after a pause: here that would be an hour."""
    browser.expected_complaints.append("ERR_INTERNET_DISCONNECTED")
    ada = visit(browser, server, "?pause=3600000")
    ada.network(up=False)
    ada.cut()
    ada.wait(lambda: ada.state() == "waiting", "the drop to be noticed")
    ada.send("typed in a tunnel")

    ada.network(up=True)

    ada.wait(lambda: ada.messages() == ["typed in a tunnel"], "the message to go through")
    assert [entry["reachable"] for entry in ada.log("state") if entry["state"] == "waiting"] == [True]
    assert ada.log("expired") == []


def test_a_worker_dials_at_once_when_the_browser_is_online_again(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
) -> None:
    """There is no ``window`` in it, and in Chromium no ``online`` event; and the pause would be an hour."""
    browser.expected_complaints.append("ERR_INTERNET_DISCONNECTED")
    ada = visit(browser, server, "?worker")
    ada.send("from a worker")
    ada.wait(lambda: ada.messages() == ["from a worker"], "the echo")
    ada.network(up=False)
    ada.cut()
    ada.wait(lambda: ada.state() == "waiting", "the drop to be noticed")

    ada.network(up=True)

    ada.wait(lambda: ada.state() == "open", "the session to go on")
    assert ada.log("expired") == []


def test_an_expired_session_is_told_with_what_is_in_doubt(server: ServerProcess, browser: Browser) -> None:  # noqa: F811
    """After the grace window the page learns it from the server, once, and has a new session."""
    ada = visit(browser, server, "?pause=3600000")
    ada.cut()
    ada.wait(lambda: ada.state() == "waiting", "the drop to be noticed")
    ada.send("too late")
    ask(server, "/advance?seconds=30")

    ada.page.run("session.reconnect()")

    ada.wait(lambda: len(ada.log("connect")) == 2, "the new session")
    (expired,) = ada.log("expired")
    assert (expired["reason"], expired["inDoubt"]) == ("expired", [{"event": "say", "payload": "too late"}])
    assert ask(server, "/handled") == []


def test_a_server_that_is_away_is_not_taken_for_an_expired_session(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
) -> None:
    browser.expected_complaints.append("net::ERR_")
    ada = visit(browser, server)

    server.stop()

    def refused() -> list[dict[str, Any]]:
        return [entry for entry in ada.log("state") if entry["state"] == "waiting" and not entry["reachable"]]

    ada.wait(lambda: len(refused()) > 1, "some dials that nobody answers")
    assert ada.log("expired") == []


# -- requests ------------------------------------------------------------------------------------------


def ask_later(client: Client, server: ServerProcess, payload: str) -> None:
    """Have the page ask, and wait until the hub's application has the request; ``/answer`` answers it."""
    client.page.run("ask('later', arguments[0])", payload)
    client.wait(lambda: payload in ask(server, "/handled"), "the request to be handled")


def test_a_request_that_is_cut_in_the_middle_is_answered_once(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
) -> None:
    """It is answered while there is no connection; the answer comes behind the resume, and nothing twice."""
    ada = visit(browser, server, "?pause=3600000")
    ask_later(ada, server, "mine")
    ada.cut()
    ada.wait(lambda: ada.state() == "waiting", "the drop to be noticed")
    ask(server, "/answer")
    ada.page.run("ask('sum', 'asked in a tunnel')")

    ada.page.run("session.reconnect()")

    ada.wait(lambda: len(ada.log("answer")) == 2, "both answers")
    assert [entry["payload"] for entry in ada.log("answer")] == ["mine", "asked in a tunnel"]
    assert ask(server, "/handled") == ["mine", "asked in a tunnel"]
    assert ada.messages() == ada.log("failed") == []


def test_the_answer_to_a_page_before_a_reload_is_ignored(server: ServerProcess, browser: Browser) -> None:  # noqa: F811
    """It counts as handled, and is no message of the new page's."""
    ada = visit(browser, server)
    ask_later(ada, server, "of the page before")
    ada.page.reload()
    ada.wait(lambda: ada.alive() and ada.log("restore"), "the session to go on")
    ask(server, "/answer")
    ask(server, "/say?text=after")

    ada.wait(lambda: ada.messages() == ["after"], "what comes behind the answer")
    assert ada.page.run("const { late, received } = session.stats; return [late, received]") == [1, 2]
    assert (ada.log("answer"), ada.log("expired"), ask(server, "/handled")) == (
        [],
        [],
        ["of the page before"],
    )
    ada.page.run("ask('sum', 'of the new page')")
    ada.wait(
        lambda: [entry["payload"] for entry in ada.log("answer")] == ["of the new page"], "its own answer"
    )


def test_a_page_that_comes_back_out_of_the_cache_has_its_answer(
    server: ServerProcess,
    browser: Browser,  # noqa: F811
) -> None:
    """Another page of the tab had the session meanwhile, and no message came there."""
    ada = visit(browser, server)
    ask_later(ada, server, "asked, then left")
    ada.page.run("location.href = '/?second'")
    ada.wait(lambda: "second" in str(ada.page.run("return location.href")), "the next page")
    ada.open()

    ada.page.run("history.back()")

    ada.wait(lambda: ada.alive() and ada.log("restore") and ada.state() == "open", "the first page to go on")
    ask(server, "/answer")
    ada.wait(lambda: ada.log("answer"), "the answer")
    assert [entry["payload"] for entry in ada.log("answer")] == ["asked, then left"]


def test_a_worker_asks_as_a_page_does(server: ServerProcess, browser: Browser) -> None:  # noqa: F811
    """And so does a frame: each has its own answers."""
    worker = visit(browser, server, "?worker")
    worker.page.run("ask('sum', 'of a worker')")
    worker.wait(lambda: worker.log("answer"), "the answer")
    page = Frames(visit(browser, server, "?frames=2")).open()
    for where in range(3):
        page.run(where, f"w.ask('sum', 'of window {where}')")
    for where in range(3):
        got = "return w.log.filter(({kind}) => kind === 'answer').map(({payload}) => payload)"
        page.client.wait(
            lambda where=where, got=got: page.run(where, got) == [f"of window {where}"], f"window {where}"
        )
    assert [entry["payload"] for entry in worker.log("answer")] == ["of a worker"]
