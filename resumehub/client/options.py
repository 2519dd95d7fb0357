"""The arguments of ``connect``, checked, and the request that is made of them for each dial.

The token is a secret, and in no repr or log. Wrong arguments raise
ValueError or TypeError at once, in the caller's thread. Values; any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..codec import Codec
from ..protocol.tokens import SUBPROTOCOL, TOKEN_PREFIX
from ..runtime.foreign_code import Log, passes
from .dialing import AddressOrder, Opener
from .states import ClientRules
from .target import Target, Targets
from .wire import Wire

log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that does not change in a client's life."""

    targets: Targets = field(repr=False)
    rules: ClientRules
    codec: Codec
    opener: Opener
    #: Which address of a name a dial begins with; the opener asks it.
    order: AddressOrder
    subprotocols: tuple[str, ...]
    max_message_size: int
    #: Two sources of numbers from 0 up to 1: for the pauses, and for the phase of acknowledgements
    #: (``transport_watch.py``). Driver thread only.
    random: Callable[[], float]
    phase: Callable[[], float]
    #: By this the server knows that it is still the same client (``instance=``).
    nonce: str = field(repr=False)
    #: What the ids of this client's requests begin with, and of no other's.
    request_prefix: str

    def wire(
        self, target: Target, *, resume: bool, offer: bool, asked: int, attempt: int, token: str
    ) -> Wire:
        """The request of one dial. Raises: ValueError."""
        query: dict[str, str] = {}
        if resume:
            query |= {"resume": "true", "received": str(asked)}
        if self.rules.resume and (offer or self.rules.plain):
            # In the first dial, too: if it arrives behind the second one, the server must not take it for a
            # new client.
            query |= {"instance": self.nonce, "attempt": str(attempt)}
        offered = list(self.subprotocols)
        if offer:
            tokens = [TOKEN_PREFIX + token] if token else []
            offered = [SUBPROTOCOL, *tokens, *offered]
        return Wire(
            target.address.authority,
            target.address.target(**query),
            target.headers,
            offered,
            self.max_message_size,
        )


def positive(name: str, value: float, *, zero: bool = False) -> float:
    """Give ``value`` back if it is finite and more than 0 (``zero``: or 0). Raises: TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not (value >= 0 if zero else value > 0) or value == float("inf"):
        raise ValueError(f"{name} must be {'0 or more' if zero else 'more than 0'}, not {value!r}")
    return value


def chance(source: Callable[[], float]) -> float:
    """A number from 0 to 1 of the application's ``random``, or 0.5 if that fails: the client dials anyway."""
    try:
        return min(1.0, max(0.0, float(source())))
    except BaseException as error:
        if passes(error):
            raise
        log.error("random raised; 0.5 is taken in its place", exc_info=error)
        return 0.5
