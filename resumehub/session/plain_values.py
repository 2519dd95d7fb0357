"""Frozen dataclasses as bytes and back: first JSON for their shape, then their ``bytes``, unchanged.

One value has one encoding (canonical: sorted names, no white space), so that two encodings can be compared.
Reading follows the types of the fields; for a value of another type the error names the field. It knows str,
int, float, bool, None, bytes, enumerations (by name), tuples, mappings of str, unions with None, unions of
dataclasses (by the name of the class), dataclasses, and ``Any`` for what JSON has. There is no pickle:
reading makes only these values. For each type a function that writes and one that reads is put together once:
a hub that moves is written down while its clients wait. Pure, any thread. Read next: ``session_state.py``.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

#: Stands before the class's name where a field may hold one of several classes.
_CLASS = "$"

# To remember what was visited takes longer than all the rest. What contains itself is too deep in any case.
_JSON = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)


class PlainValueError(ValueError):
    """Bytes that do not encode the wanted class, or a value that can't be encoded. It shows no content."""


class _Misfit(Exception):
    """A part is not what its type says. ``path``: the steps to it, the last one first."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.path: list[str] = []

    def inside(self, step: str) -> _Misfit:
        self.path.append(step)
        return self


def dump(value: Any) -> bytes:
    """The encoding of a frozen dataclass. Raises: PlainValueError if it can't be encoded."""
    blobs: list[bytes] = []
    try:
        head = _JSON.encode(_writer_of(type(value))(value, blobs)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PlainValueError(f"it can't be written as JSON: {error}") from None
    return b"".join([len(head).to_bytes(8), head, *blobs])


def changed(value: Value, **changes: Any) -> Value:
    """A dataclass's value with other values of some fields: ``dataclasses.replace``, six times as fast."""
    kind = type(value)
    known = _CHANGERS.get(kind)
    if known is None:
        names = tuple(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
        assert len(names) > 1, "attrgetter gives no tuple of one"
        known = _CHANGERS[kind] = names, attrgetter(*names)
    names, get = known
    assert changes.keys() <= set(names), f"a {kind.__name__} has no such fields: {changes.keys()}"
    return kind(*map(changes.get, names, get(value)))


def load(kind: type[Value], data: bytes) -> Value:
    """The value of class ``kind`` in ``data``. Raises: PlainValueError if ``data`` is anything else."""
    size = int.from_bytes(data[:8])
    head, blobs = data[8 : 8 + size], _Blobs(data, 8 + size)
    if len(data) < 8 or len(head) != size:
        raise PlainValueError("the data ends inside its head")
    try:
        shape = json.loads(head)
    except (ValueError, RecursionError):
        raise PlainValueError("its head is not JSON") from None
    try:
        value: Value = _reader_of(kind)(shape, blobs)
    except _Misfit as misfit:
        where = "".join([kind.__name__, *reversed(misfit.path)])
        raise PlainValueError(f"{where} {misfit.what}") from None
    if not blobs.all_taken():
        raise PlainValueError("there are bytes after its end")
    return value


class _Blobs:
    """The bytes after the head, taken from front to back."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, size: Any) -> bytes:
        if type(size) is not int or size < 0:
            raise _Misfit("is not a length")
        blob = self._data[self._at : self._at + size]
        if len(blob) != size:
            raise _Misfit("is cut off")
        self._at += size
        return blob

    def all_taken(self) -> bool:
        return self._at == len(self._data)


_Writer = Callable[[Any, list[bytes]], Any]
_Reader = Callable[[Any, _Blobs], Any]

# Made on first use, and kept: resolving the types of a class takes longer than all the rest.
_WRITERS: dict[Any, _Writer] = {}
_READERS: dict[Any, _Reader] = {}

_CHANGERS: dict[Any, tuple[tuple[str, ...], Any]] = {}

_AS_IT_IS = (str, int, bool)


def _fields(kind: Any) -> dict[str, Any]:
    """Name → type, in alphabetical order: that of the encoding. Left out: those whose metadata say ``"told":
    False``, which have a default, and which the release before this one does not know.
    """
    hints = get_type_hints(kind)
    told = [field.name for field in dataclasses.fields(kind) if field.metadata.get("told", True)]
    return {name: hints[name] for name in sorted(told)}


# -- writing ----------------------------------------------------------------------------


def _writer_of(kind: Any) -> _Writer:
    writer = _WRITERS.get(kind)
    if writer is None:
        writer = _WRITERS[kind] = _make_writer(kind)
    return writer


def _make_writer(kind: Any) -> _Writer:
    if kind is Any or kind in _AS_IT_IS:
        return lambda value, blobs: value
    if options := options_of(kind):
        inside = [option for option in options if option is not type(None)]
        if len(inside) == 1:
            write = _writer_of(inside[0])
            return lambda value, blobs: None if value is None else write(value, blobs)
        return _write_one_of_several
    if kind is float:
        return lambda value, blobs: float(value)  # 2 and 2.0 are one value, so they have one encoding
    if kind is bytes:
        return _write_bytes
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value, blobs: value.name
    if get_origin(kind) is tuple:
        each = _writer_of(get_args(kind)[0])
        return lambda value, blobs: [each(one, blobs) for one in value]
    if get_origin(kind) is Mapping:
        of = _writer_of(get_args(kind)[1])
        return lambda value, blobs: {name: of(value[name], blobs) for name in sorted(value)}
    if dataclasses.is_dataclass(kind):
        return _write_record(kind)
    raise TypeError(f"a {getattr(kind, '__name__', kind)} is not known")


def _write_one_of_several(value: Any, blobs: list[bytes]) -> Any:
    if value is None:
        return None
    return {_CLASS: type(value).__name__, "is": _writer_of(type(value))(value, blobs)}


def _write_bytes(value: Any, blobs: list[bytes]) -> int:
    blobs.append(value)
    return len(value)


def _write_record(kind: Any) -> _Writer:
    fields = _fields(kind)
    names = list(fields)
    get = attrgetter(*names) if names else None
    inner = [
        (name, _writer_of(hint)) for name, hint in fields.items() if hint is not Any and hint not in _AS_IT_IS
    ]
    only = len(names) == 1

    def write(value: Any, blobs: list[bytes]) -> dict[str, Any]:
        if get is None:
            return {}
        shape = {names[0]: get(value)} if only else dict(zip(names, get(value), strict=True))
        for name, inside in inner:
            shape[name] = inside(shape[name], blobs)
        return shape

    return write


# -- reading ----------------------------------------------------------------------------


def _reader_of(kind: Any) -> _Reader:
    reader = _READERS.get(kind)
    if reader is None:
        reader = _READERS[kind] = _make_reader(kind)
    return reader


def _make_reader(kind: Any) -> _Reader:
    if kind is Any:
        return lambda shape, blobs: shape
    if options := options_of(kind):
        return _read_union(options)
    if get_origin(kind) is tuple:
        return _read_tuple(_reader_of(get_args(kind)[0]))
    if get_origin(kind) is Mapping:
        return _read_mapping(_reader_of(get_args(kind)[1]))
    if dataclasses.is_dataclass(kind):
        return _read_record(kind)
    if kind is bytes:
        return lambda shape, blobs: blobs.take(shape)
    if kind is float:
        return _read_float
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _read_member(kind)
    return _read_plain(kind)


def _read_union(options: tuple[Any, ...]) -> _Reader:
    inside = [option for option in options if option is not type(None)]
    maybe = len(inside) < len(options)
    if len(inside) == 1:
        read = _reader_of(inside[0])
        return lambda shape, blobs: None if maybe and shape is None else read(shape, blobs)
    readers = {option.__name__: _reader_of(option) for option in inside}

    def read_one(shape: Any, blobs: _Blobs) -> Any:
        if maybe and shape is None:
            return None
        _must_be(isinstance(shape, dict) and shape.keys() == {_CLASS, "is"}, "one of several classes")
        name = shape[_CLASS]
        _must_be(isinstance(name, str) and name in readers, f"one of {', '.join(readers)}")
        return readers[name](shape["is"], blobs)

    return read_one


def _read_tuple(each: _Reader) -> _Reader:
    def read(shape: Any, blobs: _Blobs) -> tuple[Any, ...]:
        _must_be(isinstance(shape, list), "a list")
        values: list[Any] = []
        try:
            for one in shape:
                values.append(each(one, blobs))
        except _Misfit as misfit:
            raise misfit.inside(f"[{len(values)}]") from None
        return tuple(values)

    return read


def _read_mapping(each: _Reader) -> _Reader:
    def read(shape: Any, blobs: _Blobs) -> dict[str, Any]:
        _must_be(isinstance(shape, dict), "a mapping")
        values: dict[str, Any] = {}
        for name in sorted(shape):  # as its blobs were written
            try:
                values[name] = each(shape[name], blobs)
            except _Misfit as misfit:
                raise misfit.inside("[…]") from None
        return values

    return read


def _read_record(kind: Any) -> _Reader:
    fields = _fields(kind)
    plain = [(name, hint) for name, hint in fields.items() if hint in _AS_IT_IS]
    inner = [
        (name, _reader_of(hint)) for name, hint in fields.items() if hint is not Any and hint not in _AS_IT_IS
    ]

    def read(shape: Any, blobs: _Blobs) -> Any:
        _must_be(isinstance(shape, dict) and shape.keys() == fields.keys(), f"a {kind.__name__}")
        for name, hint in plain:
            if type(shape[name]) is not hint:
                raise _Misfit(f"is not of type {hint.__name__}").inside(f".{name}")
        name = ""
        try:
            for name, inside in inner:
                shape[name] = inside(shape[name], blobs)
        except _Misfit as misfit:
            raise misfit.inside(f".{name}") from None
        return kind(**shape)

    return read


def _read_member(kind: type[Enum]) -> _Reader:
    def read(shape: Any, blobs: _Blobs) -> Enum:
        _must_be(isinstance(shape, str) and shape in kind.__members__, f"a {kind.__name__}")
        return kind[shape]

    return read


def _read_float(shape: Any, blobs: _Blobs) -> float:
    _must_be(isinstance(shape, float) or type(shape) is int, "a number")
    return float(shape)


def _read_plain(kind: Any) -> _Reader:
    def read(shape: Any, blobs: _Blobs) -> Any:
        if type(shape) is not kind:
            raise _Misfit(f"is not of type {kind.__name__}")
        return shape

    return read


def options_of(kind: Any) -> tuple[Any, ...]:
    """The types of a union; empty for any other type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()


def _must_be(right: bool, what: str) -> None:
    if not right:
        raise _Misfit(f"is not {what}")
