"""Many values of one frozen dataclass as bytes and back, column by column: for a hub that moves whole.

What ``plain_values.py`` does for one value takes too long for thousands while their clients wait. Here all
values of a field are written together, and so on into fields that hold dataclasses, tuples and unions. So
the work for each value is done by a few loops of the interpreter's own. The same types are known, and
reading makes only these: a list of another length, or a value of another type, is an error that names the
field. Pure, any thread. Read next: ``session_state.py``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import accumulate, chain, pairwise
from operator import attrgetter
from typing import Any, get_args, get_origin, get_type_hints

from .plain_values import PlainValueError, options_of

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

_Writer = Callable[[Sequence[Any], list[bytes]], Any]
_Reader = Callable[[Any, int, "_ManyBlobs"], list[Any]]

# Made on first use, and kept: resolving the types of a class takes longer than all the rest.
_WRITERS: dict[Any, _Writer] = {}
_READERS: dict[Any, _Reader] = {}


def dump_all(kind: type[Any], values: Sequence[Any]) -> bytes:
    """The encoding of ``values``. Raises: PlainValueError if they can't be encoded."""
    return _dump(_writer_of(kind), values)


def dump_parts(parts: Mapping[str, Any], values: Sequence[Any]) -> bytes:
    """The encoding of some parts of ``values``: how to reach each ("outbox.sent") → its type. As above."""
    return _dump(_write_records(parts), values)


def _dump(write: _Writer, values: Sequence[Any]) -> bytes:
    blobs: list[bytes] = []
    try:
        head = _JSON.encode([len(values), write(values, blobs)]).encode()
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PlainValueError(f"they can't be written as JSON: {error}") from None
    return b"".join([len(head).to_bytes(8), head, *blobs])


def load_all(kind: type[Any], data: bytes) -> list[Any]:
    """The values of class ``kind`` in ``data``. Raises: PlainValueError if ``data`` is anything else."""
    return _load(_reader_of(kind), data)


def load_parts(parts: Mapping[str, Any], data: bytes) -> dict[str, list[Any]]:
    """What ``dump_parts`` wrote: for each part its values, all of one length. Raises: as ``load_all``."""
    columns: dict[str, list[Any]] = {}

    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[Any]:
        columns.update(_read_columns(parts, "parts", shape, count, blobs))
        return []

    _load(read, data)
    return columns


def _load(read: _Reader, data: bytes) -> list[Any]:
    size = int.from_bytes(data[:8])
    head, blobs = data[8 : 8 + size], _ManyBlobs(data, 8 + size)
    try:
        shape = json.loads(head)
    except (ValueError, RecursionError):
        raise PlainValueError("the head is not JSON") from None
    if not (isinstance(shape, list) and len(shape) == 2 and type(shape[0]) is int and shape[0] >= 0):
        raise PlainValueError("the head is not a number and columns")
    values = read(shape[1], shape[0], blobs)
    if not blobs.all_taken():
        raise PlainValueError("there are bytes after the end")
    return values


class _ManyBlobs:
    """The bytes after the head, taken from front to back."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, sizes: list[int]) -> list[bytes]:
        """So many pieces of these sizes."""
        ends = list(accumulate(sizes, initial=self._at))
        if ends[-1] > len(self._data):
            raise PlainValueError("the data is cut off")
        self._at = ends[-1]
        data = self._data
        return [data[start:end] for start, end in pairwise(ends)]

    def all_taken(self) -> bool:
        return self._at == len(self._data)


def _fields(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


# -- writing ----------------------------------------------------------------------------


def _writer_of(kind: Any) -> _Writer:
    writer = _WRITERS.get(kind)
    if writer is None:
        writer = _WRITERS[kind] = _make_writer(kind)
    return writer


def _make_writer(kind: Any) -> _Writer:
    if options := options_of(kind):
        return _write_union(options)
    if kind is float:
        return lambda values, blobs: list(map(float, values))
    if kind is bytes:
        return _write_bytes
    if get_origin(kind) is tuple:
        return _write_tuples(_writer_of(get_args(kind)[0]))
    if dataclasses.is_dataclass(kind):
        return _write_records(_fields(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda values, blobs: [value.name for value in values]
    return lambda values, blobs: list(values)


def _write_bytes(values: Sequence[Any], blobs: list[bytes]) -> list[int]:
    blobs.extend(values)
    return list(map(len, values))


def _write_tuples(inside: _Writer) -> _Writer:
    def write(values: Sequence[Any], blobs: list[bytes]) -> list[Any]:
        items = list(chain.from_iterable(values))
        return [list(map(len, values)), inside(items, blobs) if items else None]

    return write


def _write_records(fields: Mapping[str, Any]) -> _Writer:
    columns = [(attrgetter(name), _writer_of(hint)) for name, hint in fields.items()]

    def write(values: Sequence[Any], blobs: list[bytes]) -> list[Any]:
        return [inside(list(map(get, values)), blobs) for get, inside in columns]

    return write


def _write_union(options: tuple[Any, ...]) -> _Writer:
    kinds = [option for option in options if option is not type(None)]
    places = {kind: place for place, kind in enumerate(kinds)}
    writers = [_writer_of(kind) for kind in kinds]
    only = writers[0] if len(kinds) == 1 else None

    def write(values: Sequence[Any], blobs: list[bytes]) -> Any:
        """Which of the classes each value has, -1 for None; then the values of each class that has any."""
        if only is not None:
            which = [-1 if value is None else 0 for value in values]
            parts = [[value for value in values if value is not None]]
        else:
            which = [-1 if value is None else places[type(value)] for value in values]
            parts = [[] for _ in kinds]
            for place, value in zip(which, values, strict=True):
                if place >= 0:
                    parts[place].append(value)
        columns = [inside(part, blobs) if part else None for inside, part in zip(writers, parts, strict=True)]
        return [which[0] if len(set(which)) == 1 else which, columns]

    return write


# -- reading ----------------------------------------------------------------------------


def _reader_of(kind: Any) -> _Reader:
    reader = _READERS.get(kind)
    if reader is None:
        reader = _READERS[kind] = _make_reader(kind)
    return reader


def _make_reader(kind: Any) -> _Reader:
    if options := options_of(kind):
        return _read_union(options)
    if kind is Any:
        return lambda shape, count, blobs: _a_list(shape, count, "anything")
    if kind is float:
        return _read_floats
    if kind is bytes:
        return lambda shape, count, blobs: blobs.take(_sizes(shape, count))
    if get_origin(kind) is tuple:
        return _read_tuples(_reader_of(get_args(kind)[0]))
    if dataclasses.is_dataclass(kind):
        return _read_records(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _read_members(kind)
    return _read_plain(kind)


def _a_list(shape: Any, count: int, what: str) -> list[Any]:
    if not isinstance(shape, list) or len(shape) != count:
        raise PlainValueError(f"where {what} should be is no list of {count} values")
    return shape


def _sizes(shape: Any, count: int) -> list[int]:
    sizes = _a_list(shape, count, "a size")
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise PlainValueError("a size is not a size")
    return sizes


def _read_plain(kind: type) -> _Reader:
    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[Any]:
        values = _a_list(shape, count, kind.__name__)
        if not set(map(type, values)) <= {kind}:
            raise PlainValueError(f"where {kind.__name__} should be is another type")
        return values

    return read


def _read_floats(shape: Any, count: int, blobs: _ManyBlobs) -> list[float]:
    values = _a_list(shape, count, "float")
    if not set(map(type, values)) <= {float, int}:
        raise PlainValueError("where float should be is another type")
    return list(map(float, values))


def _read_members(kind: type[Enum]) -> _Reader:
    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[Enum]:
        names = _a_list(shape, count, kind.__name__)
        members = kind.__members__
        if not all(isinstance(name, str) and name in members for name in names):
            raise PlainValueError(f"where {kind.__name__} should be is none")
        return [members[name] for name in names]

    return read


def _read_tuples(inside: _Reader) -> _Reader:
    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[tuple[Any, ...]]:
        lengths, column = _a_list(shape, 2, "a tuple")
        total = sum(_sizes(lengths, count))
        items = iter(inside(column, total, blobs) if total else ())
        return [tuple(next(items) for _ in range(length)) if length else () for length in lengths]

    return read


def _read_records(kind: Any) -> _Reader:
    fields = _fields(kind)

    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[Any]:
        values = _read_columns(fields, kind.__name__, shape, count, blobs).values()
        return list(map(kind, *values)) if values else [kind() for _ in range(count)]

    return read


def _read_columns(
    fields: Mapping[str, Any], whose: str, shape: Any, count: int, blobs: _ManyBlobs
) -> dict[str, list[Any]]:
    columns = _a_list(shape, len(fields), whose)
    values: dict[str, list[Any]] = {}
    for (name, hint), column in zip(fields.items(), columns, strict=True):
        try:
            values[name] = _reader_of(hint)(column, count, blobs)
        except PlainValueError as error:
            raise PlainValueError(f"{whose}.{name}: {error}") from None
    return values


def _read_union(options: tuple[Any, ...]) -> _Reader:
    kinds = [option for option in options if option is not type(None)]
    least = -1 if len(kinds) < len(options) else 0
    readers = [_reader_of(kind) for kind in kinds]

    def read(shape: Any, count: int, blobs: _ManyBlobs) -> list[Any]:
        which, columns = _a_list(shape, 2, "a choice")
        if type(which) is int:
            which = [which] * count
        _a_list(which, count, "a choice")
        if not all(type(place) is int and least <= place < len(kinds) for place in which):
            raise PlainValueError("a choice is none of those that there are")
        parts = []
        for place, (reader, column) in enumerate(
            zip(readers, _a_list(columns, len(kinds), "a choice"), strict=True)
        ):
            number = which.count(place)
            parts.append(iter(reader(column, number, blobs) if number else ()))
        return [None if place < 0 else next(parts[place]) for place in which]

    return read
