"""What some objects still hold, directly or not: whose name is in it, and how large each container is.

``held`` walks everything that the roots lead to, and what the threads of resumehub have in their frames. It
knows nothing of the package, so a place that is new is looked at, too. Weak references lead nowhere, and
neither do modules and classes.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

_NOT_LOOKED_INTO = (type, ModuleType, BuiltinFunctionType, FrameType)
_CONTAINERS = (dict, list, set, deque)


class Held:
    """What was found. ``named``: where a text has one of the marks in it, as a chain of types.

    ``sizes``: the containers, by their owner's type and attribute, with their lengths summed up.
    """

    def __init__(self) -> None:
        self.named: list[str] = []
        self.sizes: Counter[str] = Counter()


def held(roots: Iterable[object], mark: str, *, but: Iterable[object] = (), frames: bool = True) -> Held:
    """Walk from the roots, and then from the frames of resumehub's threads, of which no sizes are taken.

    ``but``: objects of the test's own, which are not looked into. ``frames``: look at them once, at the end:
    Python keeps what a frame was seen to have until the frame ends.
    """
    gc.collect()
    found, seen = Held(), {id(one): one for one in but}  # kept alive, so that no id comes twice
    _walk(((root, type(root).__name__) for root in roots), mark, seen, found, sized=True)
    if frames:
        _walk(_in_frames(), mark, seen, found, sized=False)
    return found


def _walk(
    roots: Iterable[tuple[object, str]], mark: str, seen: dict[int, object], found: Held, *, sized: bool
) -> None:
    queue = deque(roots)
    while queue:
        one, chain = queue.popleft()
        if id(one) in seen or isinstance(one, _NOT_LOOKED_INTO):
            continue
        seen[id(one)] = one
        if isinstance(one, str):
            if mark in one:
                found.named.append(chain)
        elif isinstance(one, bytes | bytearray):
            if mark.encode() in one:
                found.named.append(chain)
        else:
            if sized and isinstance(one, _CONTAINERS):
                found.sizes[_place(chain)] += len(one)
            queue.extend((child, f"{name} < {chain}") for child, name in _children(one))


def _place(chain: str) -> str:
    """The chain up to the first attribute."""
    parts = chain.split(" < ")
    named = next((number for number, part in enumerate(parts) if "." in part), len(parts))
    return " < ".join(parts[: named + 1])


def _children(one: object) -> Iterator[tuple[object, str]]:
    """What an object refers to, each with a name for it."""
    if isinstance(one, FunctionType):
        yield from ((cell, f"{one.__qualname__} closure") for cell in one.__closure__ or ())
        yield from ((default, f"{one.__qualname__} default") for default in one.__defaults__ or ())
        return
    if isinstance(one, dict) and "__builtins__" in one:
        return  # what a module knows
    names = {id(value): name for name, value in _attributes(one)}
    attributes = getattr(one, "__dict__", None)  # asked for before, since it may be made now
    for child in gc.get_referents(one):
        name = names.get(id(child), "")
        if isinstance(child, dict) and child is attributes:
            for key, value in child.items():
                yield value, f"{type(one).__name__}.{key}"
        else:
            yield child, f"{type(one).__name__}.{name}" if name else type(child).__name__


def _attributes(one: object) -> Iterator[tuple[str, Any]]:
    for kind in type(one).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            try:
                yield name, getattr(one, mangled)
            except AttributeError:
                pass


def _in_frames() -> Iterator[tuple[object, str]]:
    ours = {thread.ident: thread.name for thread in threading.enumerate() if "resumehub" in thread.name}
    for ident, frame in sys._current_frames().items():
        inner: FrameType | None = frame
        while ident in ours and inner is not None:
            for name, value in inner.f_locals.items():
                yield value, f"{inner.f_code.co_qualname} {name} < {ours[ident]}"
            inner = inner.f_back
