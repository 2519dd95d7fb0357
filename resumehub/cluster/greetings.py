"""What two processes tell each other first on a link: who they are, and which version they speak.

Every release can read the greetings of every other one: a greeting is a JSON object, a key that is not known
is ignored, and one that is missing has its default. After the greeting both ends speak the lower of their
highest versions; a release speaks its own version and the one before. Plain values, any thread. Read next:
``link_listener.py``.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final, TypeVar

LOWEST_VERSION: Final = 1
"""Of the messages of a link: the release before this one speaks it."""

HIGHEST_VERSION: Final = 1
"""This release's."""

MOST_GREETING_BYTES: Final = 4096
"""A process that greets with more is sent away: nothing is known of it yet."""

LONGEST_NAME: Final = 255
"""Characters of a text in a greeting: of an application's name, for example."""

NOT_NOW: Final = "not_now"
"""The code of a refusal that says no more than: come again in a moment."""

Said = TypeVar("Said", "Greeting", "Welcome", "Refused")


@dataclass(frozen=True, slots=True)
class Greeting:
    """Who is at one end of a link.

    ``process``: 128 random bits in hexadecimal, made once a process. ``kind``: ``"hub"`` (a process for the
    hub alone), ``"threads"``, ``"sync"``, ``"publisher"``. ``application``: the cluster's name.
    ``master_started``, ``started``: seconds since the machine's start, 0.0 where unknown. ``hears_drains``:
    whether it is to be told when the hub is drained; ``inspects``: whether it answers an inspector while it
    holds the hub. Release 0.2.0 does not know these messages.
    """

    process: str
    pid: int
    kind: str
    application: str
    lowest_version: int = LOWEST_VERSION
    highest_version: int = HIGHEST_VERSION
    master_started: float = 0.0
    started: float = 0.0
    hears_drains: bool = False
    inspects: bool = False

    def to_bytes(self) -> bytes:
        return _to_json(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Greeting:
        """Raises: ValueError for anything else."""
        return _from_json(cls, data)


@dataclass(frozen=True, slots=True)
class Welcome:
    """The hub's process takes a link. ``version``: what both ends speak from now on.

    ``inspects``: see ``Greeting``.
    """

    process: str
    pid: int
    kind: str
    application: str
    hub_life: str
    version: int = LOWEST_VERSION
    master_started: float = 0.0
    started: float = 0.0
    inspects: bool = False

    def to_bytes(self) -> bytes:
        return _to_json(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Welcome:
        """Raises: ValueError for anything else."""
        return _from_json(cls, data)

    def greeting(self) -> Greeting:
        """The hub's process, as it would greet."""
        return Greeting(
            self.process,
            self.pid,
            self.kind,
            self.application,
            self.version,
            self.version,
            self.master_started,
            self.started,
            inspects=self.inspects,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The hub's process takes no link from this process.

    ``code``: for programs, ``"application"``, ``"version"``, ``"full"`` or ``NOT_NOW``.
    ``reason``: a sentence.
    """

    code: str
    reason: str

    def to_bytes(self) -> bytes:
        return _to_json(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Refused:
        """Raises: ValueError for anything else."""
        return _from_json(cls, data)


MESSAGES: Final[dict[int, type]] = {1: Greeting, 2: Welcome, 3: Refused}
"""Number → class of the message. These three have the same number and form in every release."""


def answer(mine: Greeting, theirs: Greeting, hub_life: str) -> Welcome | Refused:
    """What the hub's process (``mine``) answers to a greeting: the lower version, or why not."""
    if theirs.application != mine.application:
        return Refused(
            "application",
            f"the folder belongs to the application {mine.application!r}, and this process is of "
            f"{theirs.application!r}: give each application a folder of its own",
        )
    version = min(mine.highest_version, theirs.highest_version)
    if version < max(mine.lowest_version, theirs.lowest_version):
        return Refused(
            "version",
            f"the hub's process speaks versions {mine.lowest_version} to {mine.highest_version} of the link, "
            f"and this process {theirs.lowest_version} to {theirs.highest_version}: two releases of "
            "resumehub run side by side only if nothing was released between them",
        )
    return Welcome(
        mine.process,
        mine.pid,
        mine.kind,
        mine.application,
        hub_life,
        version,
        mine.master_started,
        mine.started,
        mine.inspects,
    )


def _to_json(said: Greeting | Welcome | Refused) -> bytes:
    values = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    return json.dumps(values, separators=(",", ":")).encode()


def _from_json(kind: type[Said], data: bytes) -> Said:
    try:
        found = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise ValueError("its greeting is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("its greeting is no object")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = found.get(field.name, field.default)
        if type(value).__name__ == "int" and field.type == "float":
            value = float(value)
        if type(value).__name__ != field.type:
            raise ValueError(f"its greeting has no {field.name}")
        if isinstance(value, str) and len(value) > LONGEST_NAME and field.name != "reason":
            raise ValueError(f"its greeting's {field.name} is too long")
        values[field.name] = value
    return kind(**values)
