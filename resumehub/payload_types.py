"""Checks payloads against types of Python's own: dataclasses, TypedDicts, and what their fields may be.

It knows what JSON can carry, and no more: ``None``, bool, int, float, str, ``Any``, ``object``, ``Literal``,
unions, ``list[…]``, ``dict[str, …]``, dataclasses and TypedDicts, also in one another. A type that it
can't check is an error where it is declared: a field that looks checked and is not would be worse than none.
It converts nothing but an integer to ``float`` where that is declared. It does not know pydantic, msgspec
and what becomes of a mismatch. Any thread; nothing blocks. Read next: ``payloads.py``, which uses it.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

Check = Callable[[Any], Any]
"""Payload in, checked value out."""

Foreign = Callable[[Any], Check | None]
"""Gives the check of a type that is a library's; None: it is not."""


class Mismatch(Exception):
    """A value is not what was declared. ``path``: the fields that lead to it, from the outside."""

    def __init__(self, expected: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(expected, path)
        self.expected = expected
        self.path = path

    def inside(self, step: str) -> Mismatch:
        """The same, seen from outside of ``step``."""
        return Mismatch(self.expected, (step, *self.path))

    def __str__(self) -> str:
        where = "".join(self.path).lstrip(".")
        return f"{where}: {self.expected}" if where else self.expected


class NotChecked(Exception):
    """A declared type can't be checked; the text says which, and what to do."""


def check_type(declared: Any, foreign: Foreign) -> Check | None:
    """The check of ``declared``; None if it is no type of Python's own. Raises: NotChecked."""
    return _Maker(foreign).check(declared)


class _Maker:
    """Makes the checks of one declaration. It remembers the classes: one may contain itself."""

    def __init__(self, foreign: Foreign) -> None:
        self._foreign = foreign
        self._classes: dict[Any, Check] = {}

    def check(self, declared: Any) -> Check | None:
        if declared in (Any, object):
            return _anything
        if declared is None:
            declared = type(None)
        if isinstance(declared, type) and declared in _SIMPLE:
            return _simple(declared)
        origin = typing.get_origin(declared)
        if origin is not None:
            return self._generic(declared, origin, typing.get_args(declared))
        if declared is list:
            return _list(_anything)
        if declared is dict:
            return _dict(_anything)
        if typing.is_typeddict(declared) or (
            dataclasses.is_dataclass(declared) and isinstance(declared, type)
        ):
            return self._class(declared)
        return None

    def _generic(self, declared: Any, origin: Any, arguments: tuple[Any, ...]) -> Check:
        if origin is typing.Annotated:
            return self._part(arguments[0], "what Annotated is about")
        if origin is typing.Literal:
            return _literal(arguments)
        if origin in (typing.Union, types.UnionType):
            return _union([(self._part(one, f"{declared}"), one) for one in arguments])
        if origin is list:
            return _list(self._part(arguments[0], f"{declared}"))
        if origin is dict and arguments[0] is str:
            return _dict(self._part(arguments[1], f"{declared}"))
        raise _cannot(declared, "the payload")

    def _part(self, declared: Any, where: str) -> Check:
        check = self._foreign(declared) or self.check(declared)
        if check is None:
            raise _cannot(declared, where)
        return check

    def _class(self, declared: Any) -> Check:
        if declared not in self._classes:
            made: list[Check] = []
            self._classes[declared] = lambda value: made[0](value)
            try:
                hints = typing.get_type_hints(declared, include_extras=True)
            except Exception as error:  # NameError above all, and whatever an annotation raises
                raise NotChecked(
                    f"the annotations of {declared.__name__} can't be read ({type(error).__name__}); "
                    "define it and what it names at the top of a module"
                ) from None
            if typing.is_typeddict(declared):
                made.append(self._typed_dict(declared, hints))
            else:
                made.append(self._dataclass(declared, hints))
        return self._classes[declared]

    def _dataclass(self, declared: Any, hints: Mapping[str, Any]) -> Check:
        fields = [one for one in dataclasses.fields(declared) if one.init]
        if {one.name for one in fields} != set(inspect.signature(declared).parameters):
            raise NotChecked(
                f"{declared.__name__} is not made of its fields alone; "
                "give a function of (payload) that makes one"
            )
        checks = {one.name: self._part(hints[one.name], f"{declared.__name__}.{one.name}") for one in fields}
        missing = dataclasses.MISSING
        required = {one.name for one in fields if one.default is missing and one.default_factory is missing}
        read = _object(checks, required)

        def check(value: Any) -> Any:
            found = read(value)
            try:
                return declared(**found)
            except ValueError as error:  # its __post_init__
                problem = str(error)
            raise Mismatch(problem)

        return check

    def _typed_dict(self, declared: Any, hints: Mapping[str, Any]) -> Check:
        checks: dict[str, Check] = {}
        required = set(declared.__required_keys__)
        for name, hint in hints.items():
            # Asked here as well: __required_keys__ does not see through an annotation that is a string.
            origin = typing.get_origin(hint)
            if origin in (typing.NotRequired, typing.Required):
                (required.discard if origin is typing.NotRequired else required.add)(name)
                (hint,) = typing.get_args(hint)
            checks[name] = self._part(hint, f"{declared.__name__}[{name!r}]")
        return _object(checks, required)


def _cannot(declared: Any, where: str) -> NotChecked:
    name = declared.__name__ if isinstance(declared, type) else str(declared)
    return NotChecked(
        f"{where}: {name} can't be checked; JSON carries None, bool, int, float, str, list[…], dict[str, …], "
        "dataclasses and TypedDicts of them; for more use pydantic, msgspec or a function of (payload)"
    )


# -- the checks -----------------------------------------------------------------------------

_SIMPLE: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a string",
}

_KINDS: Final[Mapping[type, str]] = {**_SIMPLE, bool: "a boolean", list: "a list", dict: "an object"}


def _got(value: Any) -> str:
    """What kind of value came, in JSON's words; nothing of the value."""
    return _KINDS.get(type(value), type(value).__name__)


def _anything(value: Any) -> Any:
    return value


def _simple(kind: type) -> Check:
    expected = _SIMPLE[kind]

    def check(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise Mismatch(f"must be {expected}, not {_got(value)}")

    return check


def _literal(values: tuple[Any, ...]) -> Check:
    expected = " or ".join(repr(value) for value in values)

    def check(value: Any) -> Any:
        # The type as well: True equals 1.
        if any(type(value) is type(one) and value == one for one in values):
            return value
        raise Mismatch(f"must be {expected}")

    return check


def _union(alternatives: list[tuple[Check, Any]]) -> Check:
    optional = any(declared is type(None) for _, declared in alternatives)
    others = [check for check, declared in alternatives if declared is not type(None)]

    def check(value: Any) -> Any:
        if value is None and optional:
            return None
        problems = []
        for one in others:
            try:
                return one(value)
            except Mismatch as mismatch:
                problems.append(mismatch)
        if len(problems) == 1:
            raise problems[0]
        # The one that got furthest knows best; if none got further, all say what they want.
        deepest = max(problems, key=lambda problem: len(problem.path))
        if deepest.path:
            raise deepest
        raise Mismatch("; or ".join(problem.expected for problem in problems))

    return check


def _list(item: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, list):
            raise Mismatch(f"must be a list, not {_got(value)}")
        return [_inside(item, one, f"[{index}]") for index, one in enumerate(value)]

    return check


def _dict(item: Check) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"must be an object, not {_got(value)}")
        return {name: _inside(item, one, f"[{_short(name)}]") for name, one in value.items()}

    return check


def _object(checks: Mapping[str, Check], required: Iterable[str]) -> Check:
    needed = [name for name in checks if name in set(required)]

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"must be an object, not {_got(value)}")
        for name in needed:
            if name not in value:
                raise Mismatch("is missing", (f".{name}",))
        found = {}
        for name, one in value.items():
            if name not in checks:
                raise Mismatch(f"has a field {_short(name)}, which is not one of {', '.join(checks)}")
            found[name] = _inside(checks[name], one, f".{name}")
        return found

    return check


def _inside(check: Check, value: Any, step: str) -> Any:
    try:
        return check(value)
    except Mismatch as mismatch:
        problem = mismatch.inside(step)
    raise problem


def _short(name: object) -> str:
    """A name that a client has chosen."""
    text = str(name)
    return repr(text if len(text) <= 40 else text[:39] + "…")
