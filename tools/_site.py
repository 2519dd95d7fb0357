"""What mkdocs does beside rendering docs/: it brings what the pages link to, a reference, and llms.txt.

A hook of mkdocs (``mkdocs.yml``), started by tools/docs. The pages are written for readers of the repository,
so they link to its files. Here each file outside of docs/ that a page links to becomes a page below
``project/``: Markdown as it is, everything else as code with its lines numbered, a folder as the list of its
files. ``reference/docstrings.md`` has what the docstrings of all public names say, and ``llms.txt`` lists the
pages, with the sentence that each begins with.

Raises: FileNotFoundError for a link that leads nowhere.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
BESIDE = "project"
"""The folder of the site for what lies outside of docs/."""

FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})[^\n]*\n.*?^(?P=indent)(?P=fence) *$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#:]+)(?P<fragment>#[^)\s]*)?(?=\))")

CELL = re.compile(r"<t([dh])\b.*?</t\1>", re.DOTALL)
CODE = re.compile(r"(?<=<code>)[^<]{10,}(?=</code>)")
WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z0-9][/:._])(?!py\b)(?=\w)")

STYLE = ".md-typeset :is(td, th) code { word-break: normal; }\n"
"""The theme lets names in code break at any letter, so that a column of a table may be one letter wide."""

PUBLIC = (
    "resumehub",
    "resumehub.contrib.flask",
    "resumehub.client",
    "resumehub.client.aio",
    "resumehub.cluster",
    "resumehub.testing",
)
"""The modules whose ``__all__`` is what users import."""

LANGUAGES = {
    ".py": "python",
    ".js": "javascript",
    ".ts": "typescript",
    ".sh": "bash",
    ".toml": "toml",
    ".cfg": "ini",
}


# -- hooks of mkdocs ------------------------------------------------------------------


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made here; leave out what Python has compiled."""
    from mkdocs.structure.files import File  # not at the top: tests look at the pages without mkdocs

    for file in [file for file in files if "__pycache__" in file.src_uri]:
        files.remove(file)
    for path in sorted(linked_from_docs()):
        files.append(File.generated(config, page_of(path), content=text_of(path)))
    files.append(File.generated(config, "reference/docstrings.md", content=docstrings()))
    files.append(File.generated(config, "site.css", content=STYLE))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have the links of a page lead to where their files are in the site."""
    source = path_of(page.file.src_uri)
    if source is None:
        return markdown
    return relinked(markdown, source).replace("<details>", "<details markdown>")  # or its Markdown is text


def on_page_content(html: str, **_: Any) -> str:
    """Have long names in tables break between their words: ``STYLE`` allows it nowhere else."""
    return CELL.sub(lambda cell: CODE.sub(lambda name: WORD_ENDS.sub("<wbr>", name[0]), cell[0]), html)


def on_post_build(config: Any) -> None:
    """Write llms.txt (llmstxt.org): what there is to read, for programs that read it."""
    lines = ["# resumehub", "", f"> {config['site_description']}", ""]
    for section in config["nav"]:
        for title, entries in section.items():
            lines += [f"## {title}", "", *(llms_line(name) for name in names_in(entries)), ""]
    Path(config["site_dir"], "llms.txt").write_text("\n".join(lines), encoding="utf-8")


# -- links ----------------------------------------------------------------------------


def outside_of_code(change: Callable[[str], str], page: str) -> str:
    """The page with ``change`` applied to everything but its fenced blocks."""
    parts, end = [], 0
    for block in FENCE.finditer(page):
        parts += [change(page[end : block.start()]), block.group()]
        end = block.end()
    return "".join([*parts, change(page[end:])])


def relinked(page: str, source: str) -> str:
    """The page of the file ``source``, its links to files of the repository as links between pages."""
    here = page_of(source)

    def changed(link: re.Match[str]) -> str:
        target = resolved(source, link["target"])
        return posixpath.relpath(page_of(target), posixpath.dirname(here)) + (link["fragment"] or "")

    return outside_of_code(lambda text: LINK.sub(changed, text), page)


@cache
def resolved(source: str, target: str) -> str:
    """The path in the repository that a link of the file ``source`` means."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise FileNotFoundError(f"{source} links to {target}: there is no {path}")
    return path


def page_of(path: str) -> str:
    """Where a file or folder of the repository is in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith(".md"):
        return f"{BESIDE}/{path.lower()}".replace("readme.md", "read-me.md")
    return f"{BESIDE}/{path}/folder.md" if (ROOT / path).is_dir() else f"{BESIDE}/{path}.md"


def path_of(page: str) -> str | None:
    """The file with a page's Markdown; None for one that was made here."""
    if not page.startswith(f"{BESIDE}/"):
        return f"docs/{page}" if (ROOT / "docs" / page).is_file() else None
    return next((path for path in linked_from_docs() if page_of(path) == page and path.endswith(".md")), None)


@cache
def linked_from_docs() -> frozenset[str]:
    """Every file and folder outside of docs/ that a page links to, or a page that is linked to."""
    found = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
    unread = [*found, *(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
    while unread:
        source = unread.pop()
        prose = FENCE.sub("", (ROOT / source).read_text(encoding="utf-8"))
        for link in LINK.finditer(prose):
            target = resolved(source, link["target"])
            if not target.startswith("docs/") and target not in found:
                found.add(target)
                unread += [target] if target.endswith(".md") else []
    return frozenset(found)


def text_of(path: str) -> str:
    """The Markdown of a page below ``project/``."""
    place = ROOT / path
    if place.is_dir():
        names = sorted(f"{one.name}/" if one.is_dir() else one.name for one in place.iterdir())
        listed = "\n".join(f"* `{name}`" for name in names if name != "__pycache__/" and name[0] != ".")
        return f"{NOT_SEARCHED}# {path}/\n\n{listed}\n"
    text = place.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    return f'{NOT_SEARCHED}# {path}\n\n````{LANGUAGES.get(place.suffix, "text")} linenums="1"\n{text}\n````\n'


NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"


# -- what is made from the code -------------------------------------------------------


def docstrings() -> str:
    """A page with every public name, which mkdocstrings fills from the docstrings."""
    lines = [
        "# What the docstrings say",
        "",
        "Every name that users import, as its source describes it. The same by subject, with defaults and",
        "reasons, is in [API](api.md).",
        "",
    ]
    for module in PUBLIC:
        lines += [f"## {module}", "", *(f"::: {module}.{name}\n" for name in public_names(module))]
    return "\n".join(lines)


def public_names(module: str) -> list[str]:
    """A module's ``__all__``."""
    source = (ROOT / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return sorted(ast.literal_eval(value))
    raise LookupError(f"{module} has no __all__")


def names_in(entries: Any) -> Iterator[str]:
    """The pages of a part of the navigation."""
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, dict):
            for below in entry.values():
                yield from names_in(below)
        else:
            yield entry


def llms_line(name: str) -> str:
    """A page's title, where it is, and what it begins with."""
    path = path_of(name)
    page = docstrings() if path is None else (ROOT / path).read_text(encoding="utf-8")
    paragraphs = [" ".join(part.split()) for part in page.split("\n\n")]
    title = paragraphs[0].removeprefix("# ")
    about = next((part for part in paragraphs[1:] if part[:1].isalpha()), "")
    sentence = re.split(r"(?<=[.])\s", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", about), maxsplit=1)[0]
    return f"- [{title}]({name.removesuffix('.md')}.html): {sentence}"
