"""Makes values of the package's own classes from their type hints, and damages them where JSON has them.

Used by ``link.py`` and ``snapshots.py``. Read next: ``link.py``.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from tools.fuzzing.choices import Choices

NUMBERS: Final = (0, 1, -1, 2, 255, 65_536, 1 << 31, (1 << 63) - 1, -(1 << 63))
FLOATS: Final = (0.0, 1.5, -1.0, 1e300, 5e-324)
TEXTS: Final = ("", "a", "alice", "€", "😀", "\0", '"\\', "x" * 300)
JSON: Final = (None, True, False, 0, -1, 1.5, "", "text", [], {}, [[]], {"a": 1}, 1 << 70)
"""What may stand at any place of a document that is damaged."""


def made(hint: Any, choices: Choices, depth: int = 0) -> Any:
    """A value of the type that ``hint`` says. Raises: what the class raises that refuses it; TypeError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return choices.pick(JSON[:-1])
    if origin in (Union, types.UnionType):
        return made(choices.pick(_simplest_first(arguments)), choices, depth)
    if origin is Literal:
        return choices.pick(arguments)
    if origin is tuple:
        if arguments[1:] == (...,):
            count = choices.pick((0, 1, 2, 5)) if depth < 4 else 0
            return tuple(made(arguments[0], choices, depth + 1) for _ in range(count))
        return tuple(made(one, choices, depth + 1) for one in arguments)
    if origin in (list, Sequence):
        return [made(arguments[0], choices, depth + 1) for _ in range(choices.below(3))]
    if origin in (dict, Mapping):
        return {
            made(arguments[0], choices): made(arguments[1], choices, depth + 1)
            for _ in range(choices.below(3))
        }
    return _plain(hint, choices, depth)


def _plain(hint: Any, choices: Choices, depth: int) -> Any:
    if hint is types.NoneType or hint is None:
        return None
    if hint is bool:
        return choices.yes()
    if hint is int:
        return choices.pick(NUMBERS) if choices.yes() else choices.byte()
    if hint is float:
        return choices.pick(FLOATS)
    if hint is str:
        return choices.pick(TEXTS) if choices.yes() else choices.text(40)
    if hint is bytes:
        return choices.bytes(60)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return choices.pick(list(hint))
    if dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        # What is not told keeps its default: nobody writes it down.
        fields = [
            field for field in dataclasses.fields(hint) if field.init and field.metadata.get("told", True)
        ]
        return hint(**{field.name: made(hints[field.name], choices, depth + 1) for field in fields})
    raise TypeError(f"nothing is made of the type {hint!r}")


def _simplest_first(options: Sequence[Any]) -> list[Any]:
    return sorted(options, key=lambda option: option is not types.NoneType)


def damaged(document: Any, choices: Choices) -> Any:
    """A document of JSON with another value at one place, or without one; the original stays."""
    if isinstance(document, dict) and document and not choices.yes(6):
        key = choices.pick(sorted(document))
        if choices.yes(8):
            return {name: value for name, value in document.items() if name != key}
        return document | {key: damaged(document[key], choices)}
    if isinstance(document, list) and document and not choices.yes(4):
        at = choices.below(len(document))
        if choices.yes(8):
            return [*document[:at], *document[at + 1 :]]
        return [*document[:at], damaged(document[at], choices), *document[at + 1 :]]
    if isinstance(document, int) and not isinstance(document, bool) and choices.yes():
        return choices.pick((document + 1, document - 1, -document, document << 40))
    return choices.pick(JSON)
