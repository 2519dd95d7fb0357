"""The site of docs/ has every page, and every link of a page leads to one.

``tools/docs build`` is no part of the tests: it needs mkdocs.
"""

from __future__ import annotations

import importlib
import importlib.util
import posixpath
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md"))
CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")

spec = importlib.util.spec_from_file_location("_site", ROOT / "tools" / "_site.py")
assert spec is not None
assert spec.loader is not None
site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site)


def test_the_navigation_has_each_page_once() -> None:
    named = re.findall(r"[\w/-]+\.md\b", CONFIG.partition("\nnav:")[2])

    assert sorted(named) == sorted({*named})
    assert {name for name in named if not name.startswith("project/")} == {*PAGES, "reference/docstrings.md"}
    assert {name for name in named if name.startswith("project/")} <= {
        site.page_of(path) for path in site.linked_from_docs()
    }


def test_each_link_leads_to_a_page_of_the_site() -> None:
    there = {*PAGES, *map(site.page_of, site.linked_from_docs())}
    for page in sorted(there):
        source = site.path_of(page)
        if source is None:
            continue  # code, which has no links
        text = site.relinked((ROOT / source).read_text(encoding="utf-8"), source)
        for link in site.LINK.finditer(site.FENCE.sub("", text)):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link["target"]))
            assert target in there or (ROOT / "docs" / target).is_file(), f"{source}: {link['target']}"


@pytest.mark.parametrize("module", site.PUBLIC)
def test_the_reference_lists_what_can_be_imported(module: str) -> None:
    names = site.public_names(module)

    assert names
    assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []


def test_links_in_code_stay_as_they_are() -> None:
    code = "```\n[a](../../setup.cfg)\n```\n"

    assert site.relinked(code + "[a](../../setup.cfg#x)\n", "docs/howto/flask.md") == (
        code + "[a](../project/setup.cfg.md#x)\n"
    )


def test_long_names_in_tables_break_between_words() -> None:
    """And the rest of a page stays as it is."""
    cell = (
        "<td>in <code>core/sessions.py:SessionTable.by_id</code>, not <code>a.b</code>, <b>x/y.z:Tt</b></td>"
    )
    rest = "<p><code>core/sessions.py:SessionTable</code></p>"

    assert site.on_page_content(rest + cell, page=None) == rest + (
        "<td>in <code>core/<wbr>sessions.py:<wbr>Session<wbr>Table.<wbr>by_<wbr>id</code>, "
        "not <code>a.b</code>, <b>x/y.z:Tt</b></td>"
    )


def test_a_link_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"flask.md links to nowhere.md: there is no docs/howto/nowhere.md"
    ):
        site.relinked("[a](nowhere.md)", "docs/howto/flask.md")
