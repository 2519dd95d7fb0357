"""The demo on two workers, as visitors see it: every process is replaced, and their lines never break.

A real Chromium, a real ``python -m resumehub serve --workers 2``, a real SIGHUP. Nothing here waits for time
to pass: each wait is for something that the page shows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.browser import Browser, DemoServer, Page, browser, chromium  # noqa: F401  (fixtures)

# Chromium alone takes seconds to start on a busy machine, and so do four workers.
pytestmark = pytest.mark.timeout(180)

EXPECTED = (
    "forgets parked sessions",  # the folder is on a file system in memory, or in a container
    "times within a minute",  # the workers are reloaded again and again here
    "takes longer than a second",  # an on_adopt that gets no core, beside Chromium on a busy machine
    "the peer is gone",  # of two workers that are told to stop, the one that was to take the hub left first
)
"""What lines of the log may say. None of them is about a fault."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One demo on two workers, for all tests; it ends behind them by SIGTERM, and complains about nothing.

    Its start costs three processes that import everything. Each test has a room of its own.
    """
    pytest.importorskip("gunicorn", reason="needs gunicorn: pip install 'resumehub[gunicorn]'")
    server = DemoServer("--workers", "2")
    yield server.url
    code, _, err = server.stop()
    assert code == 0, err
    assert [line for line in err.splitlines() if not any(text in line for text in EXPECTED)] == []


def processes(page: Page) -> list[str]:
    """The names of the processes that the page shows, once there are two, and none of them is leaving."""
    page.wait(
        lambda: len(page.texts(".process[data-leaves=false]")) == len(page.texts(".process")) == 2,
        "two workers, and none that is leaving",
    )
    return page.texts(".process b")


def reload_workers(page: Page) -> None:
    """Press the button, and wait until the page says what came of it."""
    page.click("#reload")
    page.wait(lambda: page.attribute("#reload-words", "data-tone"), "the end of the reload")


def test_a_reload_replaces_every_process_and_nobody_notices(
    url: str,
    browser: Browser,  # noqa: F811
) -> None:
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada", room="reload")
    ben.join("Ben", room="reload")
    before = processes(ada)
    ada.wait(lambda: ada.texts(".process[data-hub=true]"), "one of them to hold the hub")
    ada.say("Before")
    ben.wait(lambda: "Before" in ben.text("#log"), "Ada's message at Ben's")

    for moves in ("1", "2"):
        reload_workers(ada)

        assert ada.attribute("#reload-words", "data-tone") == "good", ada.text("#reload-words")
        assert "Your WebSocket stayed open." in ada.text("#reload-words")
        ada.wait_until("#line", "data-moves", moves)
        assert ada.text("#line").endswith("of the hub. It never broke.")
        after = processes(ada)
        assert not set(before) & set(after), "every process is another one"
        before = after
        ben.say(f"After reload {moves}")
        ada.wait_until_log(f"After reload {moves}")

    for page in (ada, ben):
        assert page.attribute("#verdict", "data-verdict") == "joined", "no drop, no resume"
        assert sorted(page.texts(".person-name")) == ["Ada", "Ben"], (
            "the chat knows both, in its third process"
        )
        assert page.text("#tally") == "3 arrived, 0 missing", "and counts on"
    assert len(ada.texts(".flag-moved")) >= 1, "the timeline shows the move"


def test_a_storm_over_a_reload_loses_nothing_and_repeats_nothing(
    url: str,
    browser: Browser,  # noqa: F811
) -> None:
    """The network is cut at random, and each resume meets whichever worker, while all are replaced."""
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada", room="storm")
    ben.join("Ben", room="storm")

    browser.expected_complaints.append("response code: 503")  # of a dial that comes while the hub moves
    browser.expected_complaints.append("status of 503")  # the same, of a cut
    ada.click("#storm")
    reload_workers(ben)
    ada.wait(lambda: ada.attribute("#storm-counts", "data-tone") in ("good", "bad"), "the last answer")

    names = ("sent", "handled", "back", "lost", "repeated")
    assert {name: int(ada.text(f"#storm-{name}")) for name in names} == {
        **{"sent": 200, "handled": 200, "back": 200},
        **{"lost": 0, "repeated": 0},
    }
    assert ben.attribute("#reload-words", "data-tone") == "good", ben.text("#reload-words")


def test_what_the_server_does_for_a_visitor_goes_along(
    url: str,
    browser: Browser,  # noqa: F811
) -> None:
    """Ten messages, one by one, to who is away: some from one process, the rest from the next."""
    browser.expected_complaints.append("response code: 503")  # of a dial that comes while the hub moves
    browser.expected_complaints.append("status of 503")  # the same, of a cut
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada", room="burst")
    ben.join("Ben", room="burst")
    ada.choose("hold", "forever")
    ada.choose("burst", "slowly")
    ada.click("#cut")
    ada.wait_until_verdict("dropped")

    reload_workers(ben)
    ada.click("#come-back")
    ada.wait_until_verdict("resumed")

    ada.wait(lambda: ada.attribute(".burst", "data-got") == "10", "all ten messages")
    assert ada.texts(".chip.replayed, .chip.live") == [str(number) for number in range(1, 11)]
    assert ada.attribute(".burst", "data-ordered") == "true"
    ben.wait(lambda: ben.texts(".person.suspended") == [], "Ben to see Ada back")


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_the_card_is_readable_at_each_width(
    url: str,
    browser: Browser,  # noqa: F811
    width: int,
) -> None:
    ada = browser.open(url)
    ada.resize(width, 844)
    ada.join("Ada", room=f"card {width}")
    processes(ada)
    assert ada.overflow() == []

    ada.click("#reload")
    ada.wait(lambda: ada.is_in_view("#reload-words"), "the words to be in view")
    ada.wait(lambda: ada.attribute("#reload-words", "data-tone"), "the end of the reload")

    assert ada.is_in_view("#reload-words")
    assert ada.overflow() == []
