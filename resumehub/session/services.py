"""What all sessions, readers and callbacks of one hub share: a record of other modules' objects.

Made once by ``server/hub_loop.py``, read on any thread. Read next: ``session.py``, ``handler_calls.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import Clock
from ..codec import Codec
from ..core.commands import Command
from ..runtime.base import Event
from .observers import Observers

if TYPE_CHECKING:
    from .asking import Askers
    from .control_messages import ControlMessages

#: Hook → its handlers, in order of registration.
Handlers = Mapping[str, Sequence[Callable[..., Any]]]


class Commands(Protocol):
    """The queue of the hub thread. Any thread."""

    def put(self, command: Command, /) -> bool:
        """Queue a command; False if the hub thread has finished. Never blocks."""

    def read_beside(self, transport: int, /) -> None:
        """If the thread that reads the transport runs a handler, have another one read. Never blocks."""

    def put_and_wait(self, command: Command, /) -> None:
        """Queue a command, and block until the hub thread has handled it or has finished."""


@dataclass(frozen=True, slots=True)
class Services:
    """See the module."""

    codec: Codec
    clock: Clock
    handlers: Handlers
    observers: Observers
    commands: Commands
    control_messages: ControlMessages
    #: How many requests of one session may be open, in each direction.
    max_requests: int
    #: The threads that wait for a client's answer.
    askers: Askers
    #: Makes an event; the argument says what its thread waits for.
    new_event: Callable[[str], Event]
