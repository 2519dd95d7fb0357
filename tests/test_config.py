"""Wrong options are refused when the hub is built, in words that help."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resumehub.config import Config, normalize_origin, validate_identifier
from resumehub.limits import RateLimit
from resumehub.option_checks import MAX_DURATION

DURATIONS = ["resume_window", "ping_interval", "write_timeout", "stall_timeout", "refusal_delay"]
# More digits than Python prints: repr() of it raises.
HUGE: Any = pytest.param(10**5000, id="more digits than can be printed")
HUGE_NEGATIVE: Any = pytest.param(-(10**5000), id="less than can be printed")

COUNTS = [
    "send_buffer",
    "send_buffer_bytes",
    "max_message_size",
    "max_sessions",
    "max_rooms",
    "callback_threads",
]


def build(**options: Any) -> Config:
    return Config.build(**options)


def test_the_defaults_are_those_of_the_reference() -> None:
    """A hub without options is usable as it is."""
    assert build() == Config(
        resume_window=30.0,
        ping_interval=20.0,
        write_timeout=10.0,
        stall_timeout=30.0,
        send_buffer=256,
        send_buffer_bytes=1_048_576,
        max_message_size=65_536,
        max_sessions=10_000,
        max_rooms=64,
        max_requests=1000,
        history=None,
        refusal_delay=0.25,
        problem_details=True,
        callback_threads=32,
        allowed_origins=None,
        on_full="expire",
        on_duplicate="replace",
        subprotocols=(),
        compression=False,
        rate=RateLimit(1000, 8 * 1024 * 1024, 10),
        connect_rate=None,
        buffer_budget=None,
        data_codec="json",
    )


def test_a_config_never_changes() -> None:
    """What was checked stays as it was checked."""
    with pytest.raises(FrozenInstanceError):
        build().resume_window = -1.0  # type: ignore[misc]


# --- numbers ----------------------------------------------------------------------------------------


def test_whole_seconds_become_floats() -> None:
    """Durations are floats for everybody who reads them."""
    config = build(resume_window=0, ping_interval=3, write_timeout=2)
    assert [config.resume_window, config.ping_interval, config.write_timeout] == [0.0, 3.0, 2.0]
    assert all(
        type(value) is float for value in (config.resume_window, config.ping_interval, config.write_timeout)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"resume_window": 0},
        {"resume_window": MAX_DURATION},
        {"ping_interval": None},
        {"ping_interval": None, "write_timeout": 1000},
        {"ping_interval": 10.001},
        {"stall_timeout": 1},
        {"stall_timeout": MAX_DURATION},
        {"write_timeout": 0.001},
        {"write_timeout": MAX_DURATION, "ping_interval": None},
        *({name: 1} for name in COUNTS),
        *({name: 10**12} for name in COUNTS),
    ],
    ids=str,
)
def test_values_at_the_edge_are_allowed(options: dict[str, Any]) -> None:
    """The documented ranges include what they say."""
    config = build(**options)
    assert {name: getattr(config, name) for name in options} == options


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize(
    "value", [-1, -0.001, math.nan, math.inf, -math.inf, MAX_DURATION + 1, 10**400, HUGE]
)
def test_a_duration_out_of_range_is_refused(name: str, value: float) -> None:
    """Neither nan nor infinity nor milliseconds taken for seconds get into a deadline."""
    with pytest.raises(ValueError, match=rf"^{name} is .*: it must be a number of seconds.*315360000"):
        build(**{name: value})


@pytest.mark.parametrize("name", ["ping_interval", "write_timeout", "stall_timeout"])
def test_zero_is_no_interval(name: str) -> None:
    """Only resume_window and refusal_delay may be zero; the error says so."""
    with pytest.raises(ValueError, match=rf"^{name} is 0: it must be .*more than 0"):
        build(**{name: 0})


@pytest.mark.parametrize("value", [0.001, 0.999])
def test_a_client_has_the_second_that_it_may_take_for_an_ack(value: float) -> None:
    """Else one that does all that the protocol asks of it would be cut."""
    with pytest.raises(ValueError, match=rf"^stall_timeout is {value}: it must be at least 1.0 seconds"):
        build(stall_timeout=value)


@pytest.mark.parametrize(
    ("options", "timeout"),
    [
        ({}, 30.0),
        ({"resume_window": 300}, 300.0),
        ({"resume_window": 0}, 30.0),
        ({"resume_window": 0.5}, 30.0),
        ({"resume_window": 300, "stall_timeout": 5}, 5.0),
    ],
    ids=str,
)
def test_a_silent_client_is_given_what_an_absent_one_is_given(
    options: dict[str, Any], timeout: float
) -> None:
    """Where that is nothing, or too short for an acknowledgement, it is half a minute."""
    assert build(**options).stall_timeout == timeout


@pytest.mark.parametrize(
    "options",
    [{"ping_interval": 10}, {"ping_interval": 5}, {"write_timeout": 20}, {"write_timeout": 60.5}],
    ids=str,
)
def test_a_ping_must_be_overdue_before_the_next_one(options: dict[str, Any]) -> None:
    """The error names both options, whichever of them was set."""
    with pytest.raises(
        ValueError, match=r"^ping_interval is .*: it must be more than write_timeout \(.* or None"
    ):
        build(**options)


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [True, False, "30", b"30", [30], 30j])
def test_a_duration_must_be_a_number(name: str, value: object) -> None:
    """A bool is no number, whatever Python thinks, and neither is text from the environment."""
    with pytest.raises(TypeError, match=rf"^{name} is .*: it must be a number of seconds"):
        build(**{name: value})


@pytest.mark.parametrize("name", ["resume_window", "write_timeout", "refusal_delay", *COUNTS])
def test_only_the_heartbeat_can_be_switched_off_with_none(name: str) -> None:
    """None is not taken for "no limit"."""
    with pytest.raises(TypeError, match=f"^{name} is None"):
        build(**{name: None})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, HUGE_NEGATIVE])
def test_a_size_is_at_least_one(name: str, value: int) -> None:
    """A buffer for nothing is refused."""
    with pytest.raises(ValueError, match=rf"^{name} is .*: it must be a whole number of \w+, at least 1"):
        build(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [True, 256.0, "256", math.inf])
def test_a_size_must_be_a_whole_number(name: str, value: object) -> None:
    """1e6 is a float, and infinity is no size."""
    with pytest.raises(TypeError, match=rf"^{name} is .*: it must be a whole number"):
        build(**{name: value})


# --- flags and choices --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["compression", "problem_details"])
@pytest.mark.parametrize("value", [1, 0, None, "yes", "permessage-deflate"])
def test_a_flag_is_on_or_off(name: str, value: object) -> None:
    """A level or a name is not taken for a yes."""
    with pytest.raises(TypeError, match=rf"^{name} is .*True or False"):
        build(**{name: value})


def test_both_answers_to_a_duplicate_are_known() -> None:
    """A second connect with the same id replaces the first or is rejected."""
    assert build(on_duplicate="reject").on_duplicate == "reject"
    with pytest.raises(ValueError, match=r"^on_duplicate is 'refuse': it must be \"replace\" or \"reject\""):
        build(on_duplicate="refuse")
    with pytest.raises(TypeError, match=r"^on_duplicate is None"):
        build(on_duplicate=None)


def test_who_makes_room_in_a_full_hub() -> None:
    assert build(on_full="refuse").on_full == "refuse"
    with pytest.raises(ValueError, match=r"^on_full is 'reject': it must be \"expire\" or \"refuse\""):
        build(on_full="reject")
    with pytest.raises(TypeError, match=r"^on_full is True, a bool"):
        build(on_full=True)


def test_an_unknown_option_is_refused() -> None:
    """A misspelt option is noticed."""
    with pytest.raises(TypeError, match="resume_windows"):
        build(resume_windows=30)


# --- origins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "normal"),
    [
        ("https://example.com", "https://example.com"),
        ("HTTPS://Example.COM", "https://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://example.com:443", "http://example.com:443"),
        ("https://example.com:08443", "https://example.com:8443"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://my_host", "https://my_host"),
        ("https://xn--mnchen-3ya.de", "https://xn--mnchen-3ya.de"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("null", "null"),
        ("NULL", "null"),
    ],
)
def test_origins_are_written_the_way_browsers_do(origin: str, normal: str) -> None:
    """What a person configures and what a browser sends compare equal."""
    assert normalize_origin(origin) == normal
    assert normalize_origin(normal) == normal
    assert build(allowed_origins=[origin]).allowed_origins == (normal,)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "example.com",
        "//example.com",
        "https://",
        "https:///",
        "https://example.com/",
        "https://example.com/app",
        "https://example.com?x",
        "https://example.com#x",
        "https://user@example.com",
        "https://*.example.com",
        "https://example.com:",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:http",
        "https://example.com:٤٤٣",
        "https://münchen.de",
        "https://\u212aelvin.com",
        "https://example.com\n",
        " https://example.com",
        "https://a https://b",
        "1http://example.com",
        "about:blank",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """An origin that could never match is noticed when the hub is built."""
    with pytest.raises(ValueError, match=r"is no origin: it must be scheme://host"):
        normalize_origin(origin)
    with pytest.raises(ValueError, match=r"^allowed_origins: "):
        build(allowed_origins=[origin])


def test_no_origins_the_same_origin_or_any() -> None:
    """None, "*" and a list are three different things, and an empty list is a list."""
    assert build(allowed_origins=None).allowed_origins is None
    assert build(allowed_origins="*").allowed_origins == "*"
    assert build(allowed_origins=[]).allowed_origins == ()


def test_origins_may_come_as_any_iterable_and_count_once() -> None:
    """A generator is read once, and duplicates disappear."""
    origins = (origin for origin in ("https://a.example", "http://b.example", "https://A.example:443"))
    assert build(allowed_origins=origins).allowed_origins == ("https://a.example", "http://b.example")


@pytest.mark.parametrize(
    "value", ["https://example.com", b"*", "", 7, True, ["https://a.example", 7], [None]]
)
def test_origins_must_be_a_list_of_strings(value: object) -> None:
    """A lone string is the common slip: it would be a list of its letters."""
    with pytest.raises(TypeError, match=r"^allowed_origins is .*a list of origins"):
        build(allowed_origins=value)


def test_a_star_in_a_list_is_refused() -> None:
    """Nobody allows every origin by an entry in the middle of a list."""
    with pytest.raises(ValueError, match=r"^allowed_origins .*the string \"\*\" itself"):
        build(allowed_origins=["https://a.example", "*"])


# --- subprotocols --------------------------------------------------------------------------------------


def test_subprotocols_keep_their_order_and_case() -> None:
    """The order is the application's preference."""
    assert build(subprotocols=["chat.v2", "Chat.v1"]).subprotocols == ("chat.v2", "Chat.v1")


@pytest.mark.parametrize("name", ["", "two words", "a,b", "a/b", 'q"', "naïve", "tab\t", "line\n", "(x)"])
def test_a_subprotocol_must_be_a_token(name: str) -> None:
    """Nothing gets into the handshake's header that could break it."""
    with pytest.raises(ValueError, match=r"^subprotocols is .*RFC 7230 token"):
        build(subprotocols=[name])


@pytest.mark.parametrize("name", ["resumehub.v1", "resumehub.", "ResumeHub.token.x"])
def test_subprotocols_of_the_hub_are_reserved(name: str) -> None:
    """The hub negotiates its own subprotocol by itself."""
    with pytest.raises(ValueError, match=r"^subprotocols is .*negotiates those by itself"):
        build(subprotocols=[name])


def test_a_subprotocol_stands_only_once() -> None:
    """Listing one twice is a slip."""
    with pytest.raises(ValueError, match=r"^subprotocols is .*each once"):
        build(subprotocols=["chat", "chat"])


@pytest.mark.parametrize("value", ["chat", b"chat", None, 7, [b"chat"], [None]])
def test_subprotocols_must_be_a_list_of_strings(value: object) -> None:
    """A lone string is not taken for a list of its letters."""
    with pytest.raises(TypeError, match=r"^subprotocols is .*a list of names"):
        build(subprotocols=value)


# --- texts of errors ------------------------------------------------------------------------------------


def test_an_error_stays_short_whatever_the_value() -> None:
    """A wrong value of a megabyte does not fill the log."""
    with pytest.raises(TypeError) as caught:
        build(send_buffer="x" * 1_000_000)
    assert len(str(caught.value)) < 200


def test_a_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    """The error is about the option, not about the value's repr."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(TypeError, match=r"^max_sessions is something unprintable, a Shy"):
        build(max_sessions=Shy())


# --- identifiers ----------------------------------------------------------------------------------------


@pytest.mark.contract("A.400-ids")
@pytest.mark.parametrize("value", ["a", " ", "x" * 255, "👋" * 255, "a/b?c", "né", "\u2028", "$x", "\ue000"])
def test_almost_any_name_is_an_identifier(value: str) -> None:
    """Ids are the application's: 255 characters, not bytes, of nearly anything."""
    validate_identifier("room_id", value)


@pytest.mark.contract("A.400-ids")
@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("", r"^room_id is empty"),
        ("x" * 256, r"^room_id 'x{40}'… has 256 characters: at most 255"),
        ("a\nb", r"^room_id 'a\\nb' has U\+000A at position 1: control characters"),
        ("a\x00", r"U\+0000 at position 1"),
        ("\x7f", r"U\+007F"),
        ("\x85", r"U\+0085"),
        ("x" * 100 + "\ud83d", r"^room_id 'x{40}'… has U\+D83D at position 100"),
    ],
)
def test_an_identifier_that_breaks_logs_or_encodings_is_refused(value: str, complaint: str) -> None:
    """The error names the thing and quotes no more of it than fits in a log line."""
    with pytest.raises(ValueError, match=complaint) as caught:
        validate_identifier("room_id", value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 7, b"ada", ["ada"]])
def test_an_identifier_of_another_type_is_the_applications_mistake(value: object) -> None:
    """A TypeError, so that it becomes a 500 and not the client's 400."""
    with pytest.raises(TypeError, match=r"^connection_id must be a str, not"):
        validate_identifier("connection_id", value)


@settings(deadline=None)
@given(st.characters())
def test_exactly_controls_and_surrogates_are_unfit(character: str) -> None:
    """The rule is Unicode's own categories Cc and Cs."""
    unfit = unicodedata.category(character) in ("Cc", "Cs")
    try:
        validate_identifier("room_id", character)
    except ValueError:
        assert unfit
    else:
        assert not unfit
