"""The documentation is right: its Python runs, its links lead somewhere, it names nothing private.

Every ```` ```python ```` block of README.md and docs/ runs, a page's blocks one after the
other in one namespace, each page in a process and an empty folder of its own. A block that
can't (it would serve for ever, say) has a comment in the line before it and is compiled only::

    <!-- not run: serves until it is stopped -->
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
RUN = [path for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))] if path.exists()]
PAGES = [*sorted(path for path in ROOT.glob("*.md") if path not in RUN), *ROOT.glob("tests/*.md"), *RUN]

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->")

# The ~ keep this file from being its own first find.
PRIVATE = [word.replace("~", "") for word in ("/wo~rk/", "fa~rm-", "registry.np~mjs", "pypi.o~rg/simple")]
"""Names of places that only exist where something was written: no reader can follow them."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# -- code -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    language: str
    line: int
    """The number of its first line of code in the page."""
    code: str
    runs: bool


def blocks_of(page: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    lines = page.splitlines()
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        first = number + 1
        end = first
        while end < len(lines) and lines[end].strip() != opening["fence"]:
            end += 1
        before = next((line.strip() for line in reversed(lines[:number]) if line.strip()), "")
        yield Block(
            language=(opening["info"].split() or [""])[0],
            line=first + 1,
            code="\n".join(line.removeprefix(opening["indent"]) for line in lines[first:end]) + "\n",
            runs=not NOT_RUN.fullmatch(before),
        )
        number = end + 1


def python_of(path: Path) -> list[Block]:
    return [block for block in blocks_of(path.read_text(encoding="utf-8")) if block.language == "python"]


RUN_BLOCKS = """
import linecache, sys, types
page = sys.argv[1]
module = sys.modules["page"] = types.ModuleType("page")
for source in sys.stdin.read().split("\\0"):
    linecache.cache[page] = (len(source), None, source.splitlines(keepends=True), page)
    exec(compile(source, page, "exec"), module.__dict__)
"""


OUR_PACKAGE = {**os.environ, "PYTHONPATH": str(ROOT)}
"""For a process in another folder: the package is this repository's, and not one that is installed."""


@pytest.mark.parametrize("page", [page for page in RUN if python_of(page)], ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    # Empty lines in front: a traceback then speaks of the page's own line numbers.
    sources = {block: "\n" * (block.line - 1) + block.code for block in python_of(page)}
    for source in sources.values():
        compile(source, name_of(page), "exec")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN_BLOCKS, name_of(page)],
        input="\0".join(source for block, source in sources.items() if block.runs),
        cwd=tmp_path,
        env=OUR_PACKAGE,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# -- links ----------------------------------------------------------------------------

LINK = re.compile(r"\]\(<?(?P<inline>[^)\s>]+)|^\[[^\]]+\]:\s*<?(?P<reference>[^\s>]+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
ANCHOR = re.compile(r"<[^>]+\b(?:id|name)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def prose_of(path: Path) -> str:
    """A page without its code."""
    text = path.read_text(encoding="utf-8")
    for block in blocks_of(text):
        text = text.replace(block.code, "\n")
    return re.sub(r"`[^`\n]*`", lambda code: re.sub(r"[\[\]()<>]", "", code[0]), text)


def anchors_of(path: Path) -> set[str]:
    """The fragments that a page offers, its headings in GitHub's spelling."""
    prose = prose_of(path)
    anchors = set(ANCHOR.findall(prose))
    for heading in HEADING.finditer(prose):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"]).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number, anchor = 0, slug
        while anchor in anchors:
            number += 1
            anchor = f"{slug}-{number}"
        anchors.add(anchor)
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken = []
    for match in LINK.finditer(prose_of(page)):
        link = match["inline"] or match["reference"]
        if ELSEWHERE.match(link):
            continue
        where, _, fragment = unquote(link).partition("#")
        target = page.parent / where if where else page
        if not target.exists() or (
            fragment and target.suffix == ".md" and fragment not in anchors_of(target)
        ):
            broken.append(link)
    assert not broken


# -- words ----------------------------------------------------------------------------


def test_no_file_names_a_private_place() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout, so there is no telling what belongs to it")
    found = []
    for path in filter(Path.is_file, (ROOT / name for name in listed.stdout.split("\0") if name)):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text file
        found += [f"{name_of(path)}: {word}" for word in PRIVATE if word in text]
    assert not found
