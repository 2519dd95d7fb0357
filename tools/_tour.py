"""Draws the gallery of races, docs/tour/: the parts of its pages and its pictures. Used by ``_docs.py``.

A race is a module in docs/tour/races/ (props.py is what they are made of) and a page docs/tour/NN-<name>.md.
What the module has in its sections ``# -- broken ---``, ``# -- fixed ---`` and ``# -- scene ---`` stands in
the page; the schedule and the picture come from playing ``broken`` in the order ``SCHEDULE``. Each is played
once a process, however often it is asked for. tests/tour/ plays the rest.

A module also has TITLE, SOURCES, ERROR (what the failure says), LANES (of the picture, in order) and LOOK
(the label that is drawn in red). To add a race, write both files, with empty generated parts, and run
tools/docs.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType

from resumehub.testing import Explored, ScheduleFailed, explore, lanes

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "docs" / "tour"
RACES = TOUR / "races"
TOY = "00-toy-hub"


@dataclass(frozen=True)
class Race:
    """One race of the gallery."""

    name: str
    """As in races/<name>.py; with hyphens in the names of its page and its picture."""

    @cached_property
    def module(self) -> ModuleType:
        return load(RACES / f"{self.name}.py")

    @property
    def page(self) -> Path:
        """Raises: LookupError unless there is exactly one page with this name."""
        found = sorted(TOUR.glob(f"[0-9][0-9]-{self.slug}.md"))
        if len(found) != 1:
            raise LookupError(f"docs/tour/ needs one page NN-{self.slug}.md and has {len(found)}")
        return found[0]

    @property
    def slug(self) -> str:
        return self.name.replace("_", "-")

    @property
    def picture(self) -> Path:
        return TOUR / "pictures" / f"{self.slug}.svg"

    @cached_property
    def source(self) -> str:
        return (RACES / f"{self.name}.py").read_text(encoding="utf-8")

    def section(self, name: str) -> str:
        """What stands below ``# -- name ---`` in the module, up to the next such line."""
        found = re.search(rf"^# -- {name} -+\n(.*?)(?=^# -- |\Z)", self.source, re.MULTILINE | re.DOTALL)
        if found is None:
            raise LookupError(f"docs/tour/races/{self.name}.py has no section '# -- {name} ---'")
        return found[1].strip() + "\n"

    @cached_property
    def failure(self) -> ScheduleFailed:
        """What comes of the broken variant in the order that the module names."""
        try:
            explore(self.module.broken, replay=self.module.SCHEDULE)
        except ScheduleFailed as failed:
            return failed
        raise AssertionError(f"{self.name}: the schedule {self.module.SCHEDULE!r} breaks nothing")

    @cached_property
    def found(self) -> ScheduleFailed:
        """What the default exploration finds in the broken variant."""
        try:
            explore(self.module.broken)
        except ScheduleFailed as failed:
            return failed
        raise AssertionError(f"{self.name}: the default exploration finds nothing")

    @cached_property
    def survived(self) -> Explored:
        """All orders of the fixed variant; ``STRATEGY`` in the module bounds them otherwise than usual."""
        return explore(self.module.fixed, getattr(self.module, "STRATEGY", None), twice=False)

    # -- the parts of its page --------------------------------------------------------------

    def parts(self) -> dict[str, Callable[[], str]]:
        return {
            "broken": lambda: self._code("broken"),
            "scene": lambda: self._code("scene"),
            "schedule": self._schedule,
            "picture": self._picture,
            "fixed": lambda: self._code("fixed"),
            "count": self._count,
        }

    def _code(self, section: str) -> str:
        where = f"<!-- not run: a part of races/{self.name}.py, which tests/tour/test_gallery.py runs -->"
        return f"{where}\n```python\n{self.section(section)}```\n"

    def _schedule(self) -> str:
        what, *rest = str(self.failure).splitlines()
        rest[-1] = f'replay: explore(broken, replay="{self.failure.schedule}")'
        return "\n".join(["```text", what.partition(" fails: ")[2], *rest, "```\n"])

    def _picture(self) -> str:
        alt = f"{self.module.TITLE}: the same schedule as swimlanes; the sentences above tell it"
        return f"![{alt}](pictures/{self.picture.name})\n"

    def _count(self) -> str:
        fixed = self.survived
        return (
            f"Explored without a hint, the broken variant fails at schedule {self.found.number}.\n"
            f"The fixed one survives all {fixed.schedules} orders {bounds(self.module)}.\n"
        )

    def drawing(self) -> str:
        """The picture."""
        module = self.module
        verdict = self._schedule().splitlines()[1]
        return lanes.svg(
            self.failure.trace, lanes=module.LANES, title=module.TITLE, verdict=verdict, look=module.LOOK
        )


def bounds(module: ModuleType) -> str:
    """What "all orders" means for the fixed variant, in words."""
    strategy = getattr(module, "STRATEGY", None)
    if strategy is None:
        return "with at most two switches"
    if strategy.preemptions is None and strategy.switches is None:
        return "that there are"
    return f"with at most {strategy.preemptions or strategy.switches} preemptions"


def load(path: Path) -> ModuleType:
    """Import a file of the tour, which may import its neighbours, as it does when it is run as a script."""
    name = f"resumehub_tour_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(RACES))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


@cache
def races() -> tuple[Race, ...]:
    """All races, in the order of their pages."""
    names = [path.stem for path in RACES.glob("*.py") if path.stem != "props"]
    return tuple(sorted(map(Race, names), key=lambda race: race.page.name))


def pages() -> dict[str, dict[str, Callable[[], str]]]:
    """Page → its generated parts, as in ``_docs.PAGES``."""
    drawn = {race.page.relative_to(ROOT).as_posix(): race.parts() for race in races()}
    toy = (TOUR / f"{TOY}.md").relative_to(ROOT).as_posix()
    return {**drawn, toy: {"toy": _toy}, "docs/index.md": {"gallery": _table}}


def pictures() -> Iterator[tuple[str, Callable[[], str]]]:
    """The files that are drawn as a whole."""
    for race in races():
        yield race.picture.relative_to(ROOT).as_posix(), race.drawing


def _toy() -> str:
    code = (TOUR / "toy.py").read_text(encoding="utf-8")
    return f"<!-- not run: it is toy.py, which tests/tour/test_toy.py runs -->\n```python\n{code}```\n"


def _table() -> str:
    return "\n".join(["| | race | seen in |", "|---|---|---|", *map(_row, races())]) + "\n"


def _row(race: Race) -> str:
    sources = ", ".join(map(_linked, race.module.SOURCES))
    return f"| {race.page.stem[:2]} | [{race.module.TITLE}](tour/{race.page.name}) | {sources} |"


def _linked(source: str) -> str:
    """``owner/repo#12`` leads to that issue or pull request, ``owner/repo v1.2.3`` to the changelog."""
    repository, number = re.fullmatch(r"(\S+?)(?:#(\d+)| v\S+)", source).groups()
    where = f"issues/{number}" if number else "blob/HEAD/CHANGELOG.md"
    return f"[{source}](https://github.com/{repository}/{where})"
