"""Checks of one option's value each: numbers, durations, flags, words and lists of words. Pure.

Each returns the value, normalised, or raises TypeError (a wrong type: a bool is no number, a str is no list)
or ValueError, whose text names the option, its value and what is allowed. They know no option. Threads: any.
Blocks: never. Read next: ``config.py`` and ``limits.py``, which call them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MAX_DURATION: Final = 10 * 365 * 24 * 3600.0
"""Ten years, in seconds: a longer duration is a mistake (milliseconds?), and infinity is no deadline."""

MOST_PER_SECOND: Final = 1e12
"""Of anything, in one second: no number that is meant as a limit is larger."""


def messages(name: str, value: object) -> int:
    """A whole number of messages, 0 or more."""
    allowed = "a whole number of messages, 0 or more"
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value, allowed)
    if value < 0:
        raise wrong_value(name, value, allowed)
    return int(value)


def duration(name: str, value: object, *, zero: bool) -> float:
    """Seconds, from 0 (``zero``) or above it, to ten years."""
    least = "0 or more" if zero else "more than 0"
    allowed = f"a number of seconds, {least} and at most {MAX_DURATION:.0f} (10 years)"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, value, allowed)
    # Written so that nan fails too. Compared before float(), which raises for very large ints.
    if not (0 <= value <= MAX_DURATION) or (value == 0 and not zero):
        raise wrong_value(name, value, allowed)
    return float(value)


def per_second(name: str, value: object, unit: str) -> float:
    """So many of ``unit`` in a second, more than 0."""
    allowed = f"a number of {unit} per second, more than 0 and at most {MOST_PER_SECOND:.0f}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, value, allowed)
    if not 0 < value <= MOST_PER_SECOND:
        raise wrong_value(name, value, allowed)
    return float(value)


def count(name: str, value: object, unit: str) -> int:
    """A whole number, at least 1."""
    allowed = f"a whole number of {unit}, at least 1"
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, value, allowed)
    if value < 1:
        raise wrong_value(name, value, allowed)
    return int(value)


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise wrong_type(name, value, "True or False")
    return value


def one_of(name: str, value: object, *words: str) -> str:
    """One of ``words``."""
    allowed = " or ".join(f'"{word}"' for word in words)
    if not isinstance(value, str):
        raise wrong_type(name, value, allowed)
    if value not in words:
        raise wrong_value(name, value, allowed)
    return value


def strings(name: str, value: object, allowed: str) -> tuple[str, ...]:
    """Several strings; ``allowed``: what the error says of them."""
    # A str is an iterable of its letters: this function finds that mistake.
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise wrong_type(name, value, allowed)
    items = tuple(value)
    for item in items:
        if not isinstance(item, str):
            raise wrong_type(name, item, allowed)
    return items


def wrong_type(name: str, value: object, allowed: str) -> TypeError:
    """The error to be raised: ``value`` has a type that is not ``allowed``."""
    return TypeError(f"{name} is {_short(value)}, {_article(type(value).__name__)}: it must be {allowed}")


def wrong_value(name: str, value: object, allowed: str) -> ValueError:
    """The error to be raised: ``value`` has a right type, and is not ``allowed``."""
    return ValueError(f"{name} is {_short(value)}: it must be {allowed}")


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # An int of more digits than Python prints, or a repr that fails.
        return "something unprintable"
    return text if len(text) <= 60 else f"{text[:60]}…"


def start_of(text: str) -> str:
    """The first 40 characters of a string from outside, as a repr: what fits in a log line."""
    return repr(text) if len(text) <= 40 else f"{text[:40]!r}…"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"
