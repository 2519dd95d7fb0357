"""Frozen dataclasses as bytes and back: first JSON for their shape, then their ``bytes``, unchanged.

One value has one encoding (canonical: sorted names, no white space), so that two encodings can be compared.
Reading follows the types of the fields; for a value of another type the error names the field. It knows str,
int, float, bool, None, bytes, enumerations (by name), tuples, unions with None, unions of dataclasses (by the
name of the class), dataclasses, and ``Any`` for what JSON has. There is no pickle: reading makes only these
values. Pure, any thread. Read next: ``session_state.py``.
"""

from __future__ import annotations

import dataclasses
import json
import types
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Value = TypeVar("Value")

#: Stands before the class's name where a field may hold one of several classes.
_CLASS = "$"

#: Results of ``_fields``, kept: resolving the types of a class takes longer than all the rest.
_FIELDS: dict[Any, dict[str, Any]] = {}


class PlainValueError(ValueError):
    """Bytes that do not encode the wanted class, or a value that can't be encoded. It shows no content."""


def dump(value: Any) -> bytes:
    """The encoding of a frozen dataclass. Raises: PlainValueError if it can't be encoded."""
    blobs: list[bytes] = []
    shape = _to_json(value, type(value), blobs, "value")
    try:
        text = json.dumps(shape, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        head = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PlainValueError(f"it can't be written as JSON: {error}") from None
    return b"".join([len(head).to_bytes(8), head, *blobs])


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
    value: Value = _from_json(shape, kind, blobs, kind.__name__)
    if not blobs.all_taken():
        raise PlainValueError("there are bytes after its end")
    return value


class _Blobs:
    """The bytes after the head, taken from front to back."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, size: int, where: str) -> bytes:
        blob = self._data[self._at : self._at + size]
        if len(blob) != size:
            raise PlainValueError(f"{where} is cut off")
        self._at += size
        return blob

    def all_taken(self) -> bool:
        return self._at == len(self._data)


def _fields(kind: Any) -> dict[str, Any]:
    """Name → type, in alphabetical order: that of the encoding."""
    known = _FIELDS.get(kind)
    if known is None:
        hints = get_type_hints(kind)
        known = {name: hints[name] for name in sorted(field.name for field in dataclasses.fields(kind))}
        _FIELDS[kind] = known
    return known


def _to_json(value: Any, kind: Any, blobs: list[bytes], where: str) -> Any:
    if kind is Any:
        return value
    options = _options(kind)
    if options:
        if value is None:
            return None
        inside = [option for option in options if option is not type(None)]
        if len(inside) == 1:
            return _to_json(value, inside[0], blobs, where)
        return {_CLASS: type(value).__name__, "is": _to_json(value, type(value), blobs, where)}
    if kind is float:
        return float(value)  # 2 and 2.0 are one value, so they have one encoding
    if isinstance(value, bytes):
        blobs.append(value)
        return len(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return [_to_json(one, get_args(kind)[0], blobs, where) for one in value]
    if _is_record(value):
        return {
            name: _to_json(getattr(value, name), hint, blobs, f"{where}.{name}")
            for name, hint in _fields(type(value)).items()
        }
    return value


def _from_json(shape: Any, kind: Any, blobs: _Blobs, where: str) -> Any:
    if kind is Any:
        return shape
    options = _options(kind)
    if options:
        return _from_union(shape, options, blobs, where)
    if get_origin(kind) is tuple:
        _must_be(isinstance(shape, list), where, "a list")
        inside = get_args(kind)[0]
        return tuple(_from_json(one, inside, blobs, f"{where}[{at}]") for at, one in enumerate(shape))
    if _is_record(kind):
        hints = _fields(kind)
        _must_be(isinstance(shape, dict) and shape.keys() == hints.keys(), where, f"a {kind.__name__}")
        return kind(
            **{name: _from_json(shape[name], hint, blobs, f"{where}.{name}") for name, hint in hints.items()}
        )
    if kind is bytes:
        _must_be(_is_int(shape) and shape >= 0, where, "a length")
        return blobs.take(shape, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _must_be(isinstance(shape, str) and shape in kind.__members__, where, f"a {kind.__name__}")
        return kind[shape]
    if kind is float:
        _must_be(isinstance(shape, float) or _is_int(shape), where, "a number")
        return float(shape)
    _must_be(_is_int(shape) if kind is int else isinstance(shape, kind), where, f"of type {kind.__name__}")
    return shape


def _from_union(shape: Any, options: tuple[Any, ...], blobs: _Blobs, where: str) -> Any:
    inside = [option for option in options if option is not type(None)]
    if shape is None and len(inside) < len(options):
        return None
    if len(inside) == 1:
        return _from_json(shape, inside[0], blobs, where)
    names = {option.__name__: option for option in inside}
    _must_be(isinstance(shape, dict) and shape.keys() == {_CLASS, "is"}, where, "one of several classes")
    _must_be(shape[_CLASS] in names, where, f"one of {', '.join(names)}")
    return _from_json(shape["is"], names[shape[_CLASS]], blobs, where)


def _options(kind: Any) -> tuple[Any, ...]:
    """The types of a union; empty for any other type."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ()


def _is_record(kind: object) -> bool:
    return dataclasses.is_dataclass(kind)


def _is_int(shape: Any) -> bool:
    return isinstance(shape, int) and not isinstance(shape, bool)


def _must_be(right: bool, where: str, what: str) -> None:
    if not right:
        raise PlainValueError(f"{where} is not {what}")
