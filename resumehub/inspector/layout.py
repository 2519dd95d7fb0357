"""The frame around each page: head, navigation, and how often the browser loads it again.

No script: the browser itself loads a page again, if its address says so (``?refresh=5``). Pure. Any thread.
Read next: ``pages.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .markup import Child, Markup, tag, url

_PLACES: Final = (
    ("", "Overview"),
    ("sessions", "Sessions"),
    ("rooms", "Rooms"),
    ("users", "Users"),
    ("ended", "Ended"),
)

REFRESH: Final = "5"
"""Seconds; the only interval that is offered."""


@dataclass(frozen=True, slots=True)
class ShownPage:
    """What is asked for. ``base``: where the inspector is; ``path``: below it; ``args``: the query."""

    base: str
    path: str
    args: Mapping[str, str]

    @property
    def refreshes(self) -> bool:
        """Whether the browser loads it again by itself."""
        return self.args.get("refresh") == REFRESH

    def to(self, *path: str, **query: str | int | None) -> str:
        """An address of the inspector."""
        return url(self.base, *path, **query)

    def again(self, **changes: str | int | None) -> str:
        """The address of this page, with another query. What is not in it stays; ``done`` goes."""
        query: dict[str, str | int | None] = {**self.args, "done": None, **changes}
        return url(self.base, *self.path.split("/"), **query)


def document(page: ShownPage, shown: Markup) -> str:
    """The whole HTML document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", http_equiv="refresh", content=REFRESH) if page.refreshes else None,
        tag("title", "resumehub: what the hub holds"),
        tag("link", rel="stylesheet", href=page.to("inspector.css")),
    )
    body = tag(
        "body",
        tag("a", "Skip to the page", class_="skip", href="#main"),
        _top(page),
        tag("main", shown, id="main", tabindex="-1"),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _top(page: ShownPage) -> Markup:
    here = page.path.partition("/")[0]
    here = "sessions" if here == "session" else here
    links = [
        tag("a", label, href=page.to(path), aria_current="page" if path == here else None)
        for path, label in _PLACES
    ]
    if page.refreshes:
        live = tag("a", "Live: every 5 s", class_="live on", href=page.again(refresh=None))
    else:
        live = tag("a", "Go live", class_="live", href=page.again(refresh=REFRESH))
    return tag(
        "header",
        tag("div", tag("span", "resumehub", class_="brand"), live, class_="brand-row"),
        tag("nav", links, aria_label="Pages"),
        class_="top",
    )


def card(title: Child, *children: Child, class_: str = "") -> Markup:
    """A part of a page."""
    return tag("section", tag("h2", title), children, class_=f"card {class_}".rstrip())


def facts(*pairs: tuple[str, Child]) -> Markup:
    """Names and values."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], class_="facts")


def table(heads: tuple[str, ...], rows: list[tuple[Child, ...]], class_: str = "") -> Markup:
    """A table that becomes a list of cards on a narrow screen: each cell knows its heading."""
    body = [
        tag("tr", [tag("td", cell, data_label=head) for head, cell in zip(heads, row, strict=True)])
        for row in rows
    ]
    head = tag("thead", tag("tr", [tag("th", name, scope="col") for name in heads]))
    return tag("table", head, tag("tbody", body), class_=f"list {class_}".rstrip())


def note(*children: Child, tone: str = "quiet") -> Markup:
    """A sentence that stands for itself."""
    return tag("p", children, class_=f"note {tone}")
