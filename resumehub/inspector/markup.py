"""HTML from values: whatever is no ``Markup`` is escaped, so a name that a client chose stays a text.

Pure. Any thread. Read next: ``layout.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

Attribute: TypeAlias = str | int | bool | None
Child: TypeAlias = "str | int | Iterable[Child] | None"

_EMPTY: Final = frozenset({"br", "input", "link", "meta"})
"""Elements without an end tag."""


class Markup(str):
    """HTML that is ready: made by ``tag`` alone."""

    __slots__ = ()


def tag(_name: str, *children: Child, **attributes: Attribute) -> Markup:
    """An element. ``class_`` is class, ``data_label`` data-label; None and False leave an attribute out."""
    parts = [f"<{_name}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{escape(str(value))}"')
    parts.append(">")
    if _name not in _EMPTY:
        parts += [*map(_html, _flat(children)), f"</{_name}>"]
    return Markup("".join(parts))


def joined(*children: Child) -> Markup:
    """Several elements and texts, one behind the other."""
    return Markup("".join(map(_html, _flat(children))))


def name(text: str) -> Markup:
    """A name that a client may have chosen: kept apart from the direction of writing around it."""
    return tag("bdi", text)


def url(base: str, *path: str, **query: str | int | None) -> str:
    """An address below ``base``; what is None or empty is left out of the query."""
    asked = {key: value for key, value in query.items() if value not in (None, "", 0)}
    found = "/".join([base, *(quote(part, safe="", errors="replace") for part in path)])
    return found + (f"?{urlencode(asked, errors='replace')}" if asked else "")


def _flat(children: Iterable[Child]) -> Iterable[str | int]:
    for child in children:
        if isinstance(child, str | int):
            yield child
        elif child is not None:
            yield from _flat(child)


def _html(child: str | int) -> str:
    return child if isinstance(child, Markup) else escape(str(child))
