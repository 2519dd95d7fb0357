"""The demo page, as visitors see it: a real Chromium against a real ``python -m resumehub serve``.

Every test also holds that the browser's console stays empty, that is, that no script failed and the
content security policy stopped nothing. Nothing here waits for time to pass: each wait is for something
that the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.integration.browser import Browser, DemoServer, browser, chromium, demo  # noqa: F401  (fixtures)

# Chromium alone takes seconds to start on a busy machine.
pytestmark = pytest.mark.timeout(120)

Demo = Callable[..., DemoServer]
NUMBERS = [str(number) for number in range(1, 11)]


def test_two_people_talk(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Two tabs in one room see each other and what the other says."""
    url = demo().url
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada")
    ben.join("Ben")

    ada.say("Hello Ben")
    ben.wait(lambda: "Hello Ben" in ben.text("#log"), "Ada's message at Ben's")
    ben.say("Hello Ada")
    ada.wait(lambda: "Hello Ada" in ada.text("#log"), "Ben's message at Ada's")

    for page in (ada, ben):
        assert page.texts(".person-name") == (["Ada", "Ben"] if page is ada else ["Ben", "Ada"])
        assert page.texts(".bubble-words > p") == ["Hello Ben", "Hello Ada"]
        assert page.text("#tally") == "2 arrived, 0 missing"


def test_what_was_sent_while_away_is_replayed_in_order(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Cut, miss ten numbered messages and a friend's, come back: all are there, in order, none missing."""
    url = demo().url
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada")
    ben.join("Ben")
    ada.choose("hold", "forever")
    ada.choose("burst", "once")

    ada.click("#cut")
    ada.wait_until_verdict("dropped")
    assert ada.text("#verdict-code") == "1006"
    ben.wait(
        lambda: "left" in ben.text(".person[data-name=Ada]"), "Ada to be shown as away, with a countdown"
    )
    ben.say("Are you there?")
    ben.wait(lambda: ben.texts(".bubble:not(.pending)"), "Ben's message to come back to him")
    ada.wait(lambda: len(ada.texts(".held-open")) == 11, "eleven kept messages in the timeline")
    ada.click("#come-back")
    ada.wait_until_verdict("resumed")

    ada.wait(lambda: "Are you there?" in ada.text("#log"), "the message that Ben had sent")
    assert ada.texts(".chip.replayed") == NUMBERS
    assert ada.text(".burst-sum") == "10 of 10, in order, 10 replayed"
    assert "replayed" in ada.text(".bubble .note")
    assert ada.text("#tally") == "11 arrived, 0 missing"
    assert "11 messages had been kept" in ada.text("#verdict-text")
    ada.wait(lambda: len(ada.texts(".held-replayed")) == 11, "the timeline to show them as replayed")
    ben.wait(lambda: ben.texts(".person.suspended") == [], "Ben to see Ada back")


def test_messages_that_arrive_one_by_one_while_away_are_replayed(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """The page comes back by itself when the time it was told to stay away is over."""
    ada = browser.open(demo().url)
    ada.join("Ada")
    ada.choose("hold", "3")
    ada.choose("burst", "slowly")

    ada.click("#cut")
    ada.wait_until_verdict("dropped")
    ada.wait_until_verdict("resumed")

    ada.wait(lambda: ada.attribute(".burst", "data-got") == "10", "all ten messages")
    assert ada.texts(".chip") == NUMBERS
    assert ada.texts(".chip.replayed, .chip.live") == NUMBERS
    assert ada.attribute(".burst", "data-ordered") == "true"


def test_coming_back_too_late_is_told_as_expired(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Beyond the grace window the page says that the session is gone, and what went with it."""
    ada = browser.open(demo("--resume-window", "1").url)
    ada.join("Ada")
    ada.choose("hold", "3")
    ada.choose("burst", "once")
    assert "too late" in ada.text("#hold-hint")

    ada.click("#cut")
    ada.wait_until_verdict("gone")

    assert ada.text("#verdict-code") == "410"
    assert "no longer exists" in ada.text("#verdict-text")
    # Not one more: what she had handled before the cut and not acknowledged yet is no loss.
    assert "10 messages kept for you went with it" in ada.text("#verdict-text")
    ada.wait(lambda: "410" in ada.texts(".flag-text"), "the 410 in the timeline")
    assert len(ada.texts(".held-lost")) == 10
    ada.click("#start-new")
    ada.wait_until_verdict("joined")


def test_a_drop_that_nobody_planned_heals_by_itself(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """With the switch on, the page comes back without being asked."""
    ada = browser.open(demo().url)
    ada.join("Ada")

    identity = ada.run("return sessionStorage.getItem('demo.id')")
    ada.run("fetch(`cut?id=${arguments[0]}`, {method: 'POST'})", identity)
    ada.wait_until_verdict("resumed")

    ada.say("Nothing happened")
    ada.wait(lambda: ada.texts(".bubble:not(.pending)"), "the message to come back")


def test_what_is_typed_while_away_is_sent_afterwards(demo: Demo, browser: Browser) -> None:  # noqa: F811
    ada = browser.open(demo().url)
    ada.join("Ada")
    ada.choose("hold", "forever")
    ada.choose("burst", "none")
    ada.click("#cut")
    ada.wait_until_verdict("dropped")

    ada.say("Typed in a tunnel")
    assert ada.text(".bubble.pending .note") == "waiting until you are back"
    ada.click("#come-back")

    ada.wait(lambda: ada.texts(".bubble:not(.pending) p") == ["Typed in a tunnel"], "the message to be sent")


def test_a_reload_resumes_the_session(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """The id lives in the tab: a page that is loaded again goes on with its session."""
    ada = browser.open(demo().url)
    ada.join("Ada")
    ada.say("Before")
    ada.wait(lambda: ada.texts(".bubble:not(.pending)"), "the message to come back")

    ada.reload()

    ada.wait_until_verdict("resumed")
    assert "Before" in ada.text("#log")


def test_a_duplicate_of_the_tab_is_somebody_else(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """It has a copy of what the tab keeps; the session stays with the original all the same."""
    first = browser.open(demo().url)
    first.join("Ada")

    second = browser.adopt(lambda: first.run("window.open(location.href)"))

    second.wait_until_verdict("joined")
    assert second.run("return sessionStorage['demo.id']") != first.run("return sessionStorage['demo.id']")
    first.wait(lambda: first.texts(".person-name") == ["Ada", "Ada"], "the original to see the duplicate")
    assert first.text("#pill-text") == "Connected"


def test_a_storm_loses_nothing_and_repeats_nothing(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """200 messages while the network is cut at random: each is handled once, and answered once."""
    ada = browser.open(demo().url)
    ada.join("Ada")

    ada.click("#storm")
    ada.wait(lambda: int(ada.text("#storm-sent")) >= 100, "half of the storm")
    ada.wait(lambda: ada.text("#storm-sent") == "200", "all of the storm")
    ada.wait(lambda: ada.attribute("#storm-counts", "data-tone") in ("good", "bad"), "the last answer")

    names = ("sent", "handled", "back", "lost", "repeated", "cuts")
    count = {name: int(ada.text(f"#storm-{name}")) for name in names}
    assert count.pop("cuts") >= 1
    assert count == {"sent": 200, "handled": 200, "back": 200, "lost": 0, "repeated": 0}
    assert "nothing was lost, nothing came twice" in ada.text("#storm-words")
    ada.click(".words summary")
    ada.wait(
        lambda: any("acknowledged up to number" in line for line in ada.texts("#words li span")),
        "acknowledgements in the timeline",
    )


@pytest.mark.parametrize(
    ("button", "verdict", "code"),
    [
        ("#take-over", "tookover", "4101"),
        ("#start-over", "anew", "101"),
        ("#kick", "kicked", "1000"),
    ],
)
def test_other_endings_are_told_plainly(
    demo: Demo,  # noqa: F811
    browser: Browser,  # noqa: F811
    button: str,
    verdict: str,
    code: str,
) -> None:
    ada = browser.open(demo().url)
    ada.join("Ada")

    ada.click(button)

    ada.wait_until_verdict(verdict)
    assert ada.text("#verdict-code") == code


def test_a_rejected_duplicate_leaves_the_first_connection_alone(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """With on_duplicate="reject" the page learns of the 409 and goes on with what it had."""
    ada = browser.open(demo("--on-duplicate", "reject").url)
    ada.join("Ada")

    ada.click("#start-over")
    ada.wait_until_verdict("conflict")

    assert ada.text("#verdict-code") == "409"
    ada.say("Still here")
    ada.wait(lambda: ada.texts(".bubble:not(.pending)"), "the message to come back on the first connection")


def test_leaving_ends_the_session_at_once(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Goodbye is no drop: the others see nobody suspended."""
    url = demo().url
    ada, ben = browser.open(url), browser.open(url)
    ada.join("Ada")
    ben.join("Ben")

    ada.click("#leave")

    ada.wait(lambda: ada.text("#join-title"), "the door")
    assert "ended at once" in ada.text("#farewell")
    ben.wait(lambda: "Ada left" in ben.text("#log"), "Ben to be told")
    assert ben.texts(".person-name") == ["Ben"]


def test_the_preflight_says_what_a_resume_would_get(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """204 while the session lives, 410 when it is gone; the browser logs the latter as an error."""
    browser.expected_complaints.append("status of 410")
    ada = browser.open(demo().url)
    ada.join("Ada", protocol="plain")  # of a lossless session it would need the token

    ada.click("#preflight")
    ada.wait(lambda: ada.text("#preflight-answer").startswith("204"), "204")
    ada.click("#kick")
    ada.wait_until_verdict("kicked")
    ada.click("#preflight")
    ada.wait(lambda: ada.text("#preflight-answer").startswith("410"), "410")


def test_a_dead_server_is_not_taken_for_an_expired_session(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Without an answer nothing is known: the page says so, and goes on trying."""
    browser.expected_complaints.append("net::ERR_")
    server = demo()
    ada = browser.open(server.url)
    ada.join("Ada")

    server.stop()

    ada.wait_until_verdict("unreachable")
    assert "nothing is known" in ada.text("#verdict-text")
    assert ada.text("#pill-text") in ("Away", "Connecting")


def test_whatever_people_type_stays_text(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Names, rooms and messages are shown as they are, never parsed as markup."""
    evil = "<img src=x onerror=alert(1)>"
    url = demo().url
    ada, ben = browser.open(url), browser.open(url)
    ada.join(evil, room="<b>room</b>")
    ben.join("Ben", room="<b>room</b>")

    ada.say(evil)
    ben.wait(lambda: ben.texts(".bubble-words > p") == [evil], "the message as text")
    ben.wait(lambda: evil in ben.texts(".person-name"), "the name as text")

    assert ben.text("#room-name") == "<b>room</b>"
    assert ben.run("return document.querySelectorAll('main img, #room-name b').length") == 0


def test_the_timeline_can_be_read_as_a_list_and_by_keyboard(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """What the picture shows is also there in words, for whoever can't see or point."""
    ada = browser.open(demo().url)
    ada.join("Ada")

    ada.click(".words summary")
    ada.wait(lambda: "The hub opened a session." in ada.texts("#words li span"), "the story in words")
    ada.press("#chart", "ARROW_LEFT")
    ada.wait(lambda: ada.text("#tip-title"), "details of what happened last")
    ada.click("#pause")
    assert ada.attribute("#pause", "aria-pressed") == "true"


def test_leaving_without_a_connection_says_so(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """No goodbye can be said then, so the hub keeps the session, and the page does not claim otherwise."""
    ada = browser.open(demo().url)
    ada.join("Ada")
    ada.choose("hold", "forever")
    ada.click("#cut")
    ada.wait_until_verdict("dropped")

    ada.click("#leave")

    ada.wait(lambda: "keeps the session" in ada.text("#farewell"), "the door, and what became of the session")
    ada.join("Ada")
    assert not ada.is_in_view("#farewell")


def test_the_headline_says_when_it_is_too_late(demo: Demo, browser: Browser) -> None:  # noqa: F811
    """Once the window has run out, nothing on the page claims that the session is suspended."""
    ada = browser.open(demo("--resume-window", "1").url)
    ada.join("Ada")
    ada.choose("hold", "forever")
    ada.click("#cut")

    ada.wait_until_verdict("late")

    assert "Too late" in ada.text("#verdict-title")
    assert ada.text("#window-words") == "The grace window has passed"


def test_who_types_nothing_joins_as_a_guest(demo: Demo, browser: Browser) -> None:  # noqa: F811
    ada = browser.open(demo().url)

    ada.type("#room", " ")
    ada.click("#join-form button")

    ada.wait_until_verdict("joined")
    ada.wait(lambda: re.fullmatch(r"Guest \d+", ada.text(".person-name")), "a guest among the people")
    assert ada.text("#room-name") == "lobby"


@pytest.mark.parametrize("width, height", [(390, 844), (820, 1180), (1280, 900)])
def test_each_button_has_its_answer_in_view(
    demo: Demo,  # noqa: F811
    browser: Browser,  # noqa: F811
    width: int,
    height: int,
) -> None:
    """What happened is on the screen after Join and Cut, and on a phone the counters are during a storm."""
    ada = browser.open(demo().url)
    ada.resize(width, height)
    ada.join("Ada")
    assert ada.is_in_view("#verdict-title")

    ada.choose("hold", "3")
    ada.click("#cut")
    ada.wait_until_verdict("dropped")
    ada.wait(lambda: ada.is_in_view("#verdict-title"), "the headline to be in view")
    ada.wait_until_verdict("resumed")
    assert ada.is_in_view("#verdict-title")
    if width > 400:  # there the counters are beside what they count
        return

    ada.click("#storm")
    ada.wait(lambda: ada.is_in_view("#storm-counts"), "the counters to be in view")
    ada.wait(lambda: "nothing was lost" in ada.text("#storm-words"), "the end of the storm")
    assert ada.is_in_view("#storm-counts")


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(demo: Demo, browser: Browser, width: int) -> None:  # noqa: F811
    """Readable on a phone: no sideways scrolling, before joining and after, with long names and words."""
    ada = browser.open(demo().url)
    ada.resize(width, 800)
    assert ada.overflow() == []

    ada.join("W" * 40, room="M" * 40)
    ada.say("W" * 300)
    ada.wait(lambda: ada.texts(".bubble:not(.pending)"), "the message to come back")
    ada.choose("hold", "forever")
    ada.click("#cut")
    ada.wait_until_verdict("dropped")

    assert ada.overflow() == []
