"""``RateLimit``: how much a client may send; ``ConnectRate``: how often an address may connect. Values.

They are checked when they are made. Pure; any thread. Read next: ``core/input_rate.py`` and
``core/connect_rate.py``, which decide by them; docs/howto/limits.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .option_checks import count, duration, per_second, wrong_type, wrong_value


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How much one session's client may send, on average, and at once.

    A client that sends more is not refused: the hub stops reading its socket until it may send again, so TCP
    makes it wait. Nothing is lost, and the connection stays open.

    * ``messages_per_second``: messages that your handlers get, requests and answers included; more than 0,
      or None for no limit. 1,000 is far more than people cause, and a small part of what one process handles.
    * ``bytes_per_second``: bytes of all that, without the headers of frames; more than 0, or None for no
      limit. 8 MiB.
    * ``burst``: seconds, more than 0. A client that has been silent for so long may send at once what is
      allowed in that time: by default 10,000 messages. A single message may always be sent, however large
      (``max_message_size`` bounds it); the client pays for it afterwards.

    Raises: TypeError, ValueError, which name the argument, its value and what is allowed.
    Threads: any; immutable.
    """

    messages_per_second: float | None = 1000.0
    bytes_per_second: float | None = float(8 << 20)
    burst: float = 10.0

    def __post_init__(self) -> None:
        for name, unit in (("messages_per_second", "messages"), ("bytes_per_second", "bytes")):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, per_second(f"rate.{name}", value, unit))
        object.__setattr__(self, "burst", duration("rate.burst", self.burst, zero=False))
        if self.messages_per_second is None and self.bytes_per_second is None:
            raise wrong_value("rate", self, "a RateLimit that limits something, or None for no limit")


@dataclass(frozen=True, slots=True)
class ConnectRate:
    """How often clients of one address may connect, on average, and at once.

    A client that comes too often is answered 429 with ``Retry-After`` (4503 with ``reject=close``), and
    nothing becomes of its session. Newcomers and clients that come back are counted apart, and one that gets
    its session back is not counted. An address of IPv6 stands for its network of 64 bits.

    * ``connects_per_second``: more than 0. With less than 1, an address connects every few seconds.
    * ``burst``: at least 1: how many may connect at once, after a pause. Think of an office behind one
      address, whose network has just come back.

    Raises: TypeError, ValueError, which name the argument, its value and what is allowed.
    Threads: any; immutable.
    """

    connects_per_second: float = 5.0
    burst: int = 100

    def __post_init__(self) -> None:
        name = "connect_rate.connects_per_second"
        object.__setattr__(
            self, "connects_per_second", per_second(name, self.connects_per_second, "connects")
        )
        object.__setattr__(self, "burst", count("connect_rate.burst", self.burst, "connects"))


USUAL_RATE: Final = RateLimit()
"""What a hub has unless it is told otherwise."""


def check_rate(value: object) -> RateLimit | None:
    """The option ``rate``. Raises: TypeError."""
    if value is not None and not isinstance(value, RateLimit):
        raise wrong_type("rate", value, "a RateLimit such as RateLimit(messages_per_second=20), or None")
    return value


def check_connect_rate(value: object) -> ConnectRate | None:
    """The option ``connect_rate``. Raises: TypeError."""
    if value is not None and not isinstance(value, ConnectRate):
        allowed = "a ConnectRate such as ConnectRate(connects_per_second=1, burst=20), or None"
        raise wrong_type("connect_rate", value, allowed)
    return value
