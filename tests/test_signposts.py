"""Every signpost leads somewhere: a file, a folder or a name that a text speaks of is there.

A text is a docstring or a comment in resumehub/ and tests/, or a page: README.md, CONTRIBUTING.md,
tests/README.md and all of docs/. (Code blocks of a page are not text, links are the business of
``test_docs.py``.) In a text, these are signposts:

1. A file: a word that ends in ``.py`` or ``.md``, in code marks or not. Without a slash it is a file in the
   text's own folder, in resumehub/ or in the repository's. With a slash, it is looked for from each of these,
   and from tests/.
2. A path that begins with ``resumehub/``, ``tests/``, ``docs/`` or ``tools/``, whatever it ends in; and a
   folder in code marks (``core/``), from wherever a file is looked for.
3. A name in code marks, with a capital at its beginning or an underscore in it: ``HubLoop``, ``wait_closed``,
   each part of ``Machine.next_deadline``. The code of resumehub/, tests/ or tools/ has it, or a code block of
   the page. Behind the name of a class stands something that this class, or a base of it, has. A metric of
   Prometheus has ``resumehub_`` before the name that the code has, or just the ``_``.
4. A module in code marks: ``resumehub.testing.traces``. It can be imported, or is a name in one that can.
5. A file and a name, in code marks, in a page: "`core/machine.py`, `Machine.handle`", "`handle` in
   `core/machine.py`" or "`handle` (`core/machine.py`)". The file defines the name, or a class in it does.
6. "Read next:" in a docstring: a file follows in the same paragraph, as in "Read next: ``hub.py``".

In a path, ``*``, ``…`` and ``<name>`` stand for anything.
"""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.package_source import statements_in
from tests.test_docs import blocks_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "resumehub"

SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])
PAGES = sorted(
    page
    for pattern in ("README.md", "CONTRIBUTING.md", "tests/README.md", "docs/**/*.md")
    for page in ROOT.glob(pattern)
)

FOREIGN = {
    "app.py": "the application of the reader",
    "test_incident.py": "a test that tools/race writes",
    "NaN": "of JavaScript and JSON",
    "Host": "a header",
    "VmRSS": "a line of /proc",
    "Timer": "of Python's threading",
    "Thread.start": "of Python's threading",
    "upgrade_refused": "planned: docs/reference/contract.md",
    "faulthandler_timeout": "an option of pytest",
    "chat.py": "the reader's, in the quickstart",
    "resumehub.a.b": "any module",
    "resumehub.v1": "a subprotocol",
    "resumehub.on_message": "a span's name",
    "resumehub.js": "the JavaScript client",
    "FLASK_RUN_PORT": "of Flask",
    "worker_exit": "a hook of gunicorn",
    "current_user": "of flask-login",
    "current_app": "of Flask",
    "init_app": "of Flask-SocketIO",
    "close_room": "of Flask-SocketIO",
    "on_error_default": "of Flask-SocketIO",
    "start_background_task": "of Flask-SocketIO",
    "websocket_channel_impl": "of Chromium",
    "get_id": "of flask-login",
    "proxy_read_timeout": "a directive of nginx",
    "proxy_buffering": "a directive of nginx",
    "worker_shutdown_timeout": "a directive of nginx",
    "set_threshold": "of Python's gc",
    "DeprecationWarning": "of Python",
    "HttpOnly": "an attribute of cookies",
    "ProxyFix": "of Werkzeug",
    "server_name": "a directive of nginx",
    "limit_conn": "a directive of nginx",
    "limit_req": "a directive of nginx",
    "client_no_context_takeover": "a parameter of permessage-deflate",
    **dict.fromkeys(
        (
            "WebSocketBadStatusException",
            "WebSocketApp",
            "WSServerHandshakeError",
            "WebSocketUpgradeError",
            "HTTPClientError",
            "ConnectionRejected",
            "WSInvalidStatusError",
            "raw_header",
            "CurlError",
            "UpgradeError",
            "WebSocketHandshakeException",
            "ExecutionException",
            "ErrBadHandshake",
            "DialError",
            "CLIENT_CONNECTION_ERROR",
            "run_forever",
            "on_error",
            "on_close",
        ),
        "of another client library, on docs/reference/clients.md",
    ),
}
"""What looks like a signpost → what it is instead."""

# -- what a signpost looks like -------------------------------------------------------

PATH = r"(?<![\w./*…<>-])"
FILE = re.compile(PATH + r"[\w./*…<>-]*[\w*…>]\.(?:py|md)(?![\w/-]|\.\w)")
BELOW = re.compile(PATH + r"(?:resumehub|tests|docs|tools)/[\w./*…<>-]*")
FOLDER = re.compile(r"(?<=`)[a-z_]+(?:/[a-z_]+)*/(?=`)")
NAME = re.compile(r"`(?!\w+\.(?:py|md|js)`)([A-Za-z_]\w*(?:\.\w+)*)(?:\([^`]*\))?`")
METRIC = re.compile(r"^(?:resumehub)?_")
MODULE = re.compile(r"`(resumehub(?:\.\w+)+)`")
PLACES = [
    re.compile(r"`(?P<file>[\w/]+\.py)`,\s`(?!\w+\.py`)(?P<name>[A-Za-z_][\w.]*)(?:\([^`]*\))?`"),
    re.compile(r"`(?P<name>[A-Za-z_][\w.]*)(?:\([^`]*\))?`\s(?:in\s|\()`(?P<file>[\w/]+\.py)`"),
]
READ_NEXT = re.compile(r"read next:(.*?)(?:\n\s*\n|\Z)", re.IGNORECASE | re.DOTALL)

TOKENS = re.compile(
    r"""
    (?P<string> [rbf]{0,2} (?:
        \"{3} (?: [^"\\] | \\. | "(?!"") )* \"{3} | '{3} (?: [^'\\] | \\. | '(?!'') )* '{3}
        | " (?: [^"\\\n] | \\. )* " | ' (?: [^'\\\n] | \\. )* ' ) )
    | (?P<comment> \#[^\n]* )
    | (?P<name> [A-Za-z_]\w* )
    | [0-9]\w*
    """,
    re.VERBOSE | re.DOTALL,
)
"""The strings, comments and names of a source. Python's own tokenizer takes ten times as long."""

NO_TEXT = re.compile(r"\w+://\S+|\[[^\]\n]*\]\([^)\n]*\)")
"""Addresses, and Markdown's links."""


@dataclass(frozen=True)
class Text:
    """Something to read, in one file."""

    file: Path
    line: int
    words: str
    examples: frozenset[str] = frozenset()
    """The words of the code blocks of the same page."""

    def at(self, position: int) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line + self.words.count(chr(10), 0, position)}"


# -- where the texts are --------------------------------------------------------------


@cache
def texts() -> list[Text]:
    in_code = [text for path in SOURCES for text in texts_of_code(path, path.read_text(encoding="utf-8"))]
    return in_code + [text_of_page(path, path.read_text(encoding="utf-8")) for path in PAGES]


def texts_of_code(path: Path, source: str) -> Iterator[Text]:
    for docstring in docstrings_of(parsed(source)):
        yield Text(path, docstring.lineno, docstring.value)
    for comment in comments_of(source):
        yield Text(path, source.count("\n", 0, comment.start()) + 1, comment[0])


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def comments_of(source: str) -> Iterator[re.Match[str]]:
    return (token for token in TOKENS.finditer(source) if token.lastgroup == "comment")


def docstrings_of(tree: ast.AST) -> Iterator[ast.Constant]:
    """Those of attributes as well: all strings that stand alone."""
    for node in statements_in(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as docstring):
                yield docstring


def text_of_page(path: Path, page: str) -> Text:
    """A page without its code blocks, addresses and links; each line keeps its number."""
    words = page
    for block in blocks_of(page):
        words = words.replace(block.code, "\n" * block.code.count("\n"))
    examples = {word for block in blocks_of(page) for word in re.findall(r"\w+", block.code)}
    return Text(path, 1, NO_TEXT.sub("", words), frozenset(examples))


# -- what is there --------------------------------------------------------------------


def is_there(path: str, seen_from: Path) -> bool:
    """Whether ``path`` names a file or a folder to a reader who stands in the folder ``seen_from``."""
    pattern = re.sub(r"<\w+>|…", "*", path).strip("/")
    roots = [seen_from, PACKAGE, ROOT, *([ROOT / "tests"] if "/" in path else [])]
    return any(True for root in roots for _ in root.glob(pattern))


@cache
def names_in_code() -> frozenset[str]:
    """Every name in the code, and every string that is one word."""
    words: set[str] = set()
    for path in [*SOURCES, *(ROOT / "tools").rglob("*.py")]:
        for token in TOKENS.finditer(path.read_text(encoding="utf-8")):
            if token.lastgroup == "name":
                words.add(token[0])
            elif token.lastgroup == "string":
                words.add(token[0].lstrip("rbf").strip("\"'"))
    for path in [*(PACKAGE / "static").glob("*.js"), ROOT / "docs" / "prometheus" / "rules.yml"]:
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    words.update(re.findall(r"\w+", (ROOT / "docs/prometheus/rules.yml").read_text(encoding="utf-8")))
    # A page says resumehub_rooms, or _rooms behind the first of a list: the collector puts the front there.
    called = re.findall(r'"(\w+)"', (PACKAGE / "contrib/prometheus.py").read_text(encoding="utf-8"))
    words.update(f"{front}_{name}" for front in ("resumehub", "") for name in called)
    words.update(name.partition(".")[2] for name in names_in_spans())
    return frozenset(words)


@cache
def names_in_spans() -> frozenset[str]:
    """Those of events and attributes, which look like modules: ``resumehub.drop``."""
    source = (PACKAGE / "contrib/opentelemetry.py").read_text(encoding="utf-8")
    return frozenset(re.findall(r'"(resumehub\.\w+)"', source))


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The names that a module defines, those inside classes with dots: ``Machine.handle``."""

    def names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                yield prefix + node.target.id

    return frozenset(names(parsed(path.read_text(encoding="utf-8")).body, ""))


@cache
def classes() -> dict[str, list[ast.ClassDef]]:
    """Every class in the code, by its name."""
    found: dict[str, list[ast.ClassDef]] = {}
    for path in [*SOURCES, *(ROOT / "tools").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]:
        for node in statements_in(parsed(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


@cache
def members_of(name: str) -> frozenset[str]:
    """What classes of this name have: methods, attributes, members of an enum, and those of their bases."""
    members: set[str] = set()
    for node in [node for cls in classes()[name] for node in ast.walk(cls)]:
        match node:
            case ast.FunctionDef(name=member) | ast.ClassDef(name=member):
                members.add(member)
            case ast.Attribute(attr=member, ctx=ast.Store()) | ast.Name(id=member, ctx=ast.Store()):
                members.add(member)
            case ast.Constant(value=str(member)):  # in __slots__
                members.add(member)
    bases = {base.id for cls in classes()[name] for base in cls.bases if isinstance(base, ast.Name)}
    return frozenset(members.union(*(members_of(base) for base in bases & set(classes()) - {name})))


def defines(file: str, name: str, seen_from: Path) -> bool:
    """Whether the module ``file``, or a class in it, defines ``name``."""
    paths = [root / file for root in (seen_from, PACKAGE, ROOT) if (root / file).is_file()]
    return any(f".{known}".endswith(f".{name}") for path in paths for known in defined_in(path))


def can_be_imported(module: str) -> bool:
    """Whether ``module`` is one, or a name in one."""
    try:
        pkgutil.resolve_name(module)
    except (ImportError, AttributeError):
        return False
    return True


# -- the check ------------------------------------------------------------------------


def dangling(text: Text) -> Iterator[str]:
    """The signposts in ``text`` that lead nowhere, each with its place."""
    paths = {
        found.start(): found[0].rstrip(".")
        for find in (FILE, BELOW, FOLDER)
        for found in find.finditer(text.words)
    }
    for position, path in paths.items():
        if path not in FOREIGN and not is_there(path, text.file.parent):
            yield f"{text.at(position)}: there is no {path}"
    for found in NAME.finditer(text.words):
        for name in filter(is_a_name, found[1].split(".")):
            if not any(
                one in names_in_code() or one in text.examples or one in FOREIGN
                for one in (name, METRIC.sub("", name))
            ):
                yield f"{text.at(found.start())}: no code has the name {name}"
        for owner, name in pairwise(found[1].split(".")):
            if owner in classes() and name not in members_of(owner) and f"{owner}.{name}" not in FOREIGN:
                yield f"{text.at(found.start())}: {owner} has no {name}"
    for found in MODULE.finditer(text.words):
        if found[1] not in {*FOREIGN, *names_in_spans()} and not can_be_imported(found[1]):
            yield f"{text.at(found.start())}: {found[1]} cannot be imported"
    for found in [found for place in PLACES for found in place.finditer(text.words)]:
        if text.file.suffix == ".md" and not defines(found["file"], found["name"], text.file.parent):
            yield f"{text.at(found.start())}: {found['file']} does not define {found['name']}"
    for found in READ_NEXT.finditer(text.words):
        if text.file.suffix == ".py" and not FILE.search(found[1]):
            yield f"{text.at(found.start())}: what is to be read next?"


def is_a_name(word: str) -> bool:
    """Whether a word in code marks looks like a name of ours: ``wait_closed``, ``HubLoop``."""
    return "_" in word.strip("_") or (word[0].isupper() and not word.isupper())


@pytest.mark.timeout(300)  # it reads every file of the project: 5 s on a quiet machine
def test_every_signpost_leads_somewhere() -> None:
    wrong = [post for text in texts() for post in dangling(text)]
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_is_foreign_is_spoken_of() -> None:
    """An exception that nobody needs any more would hide the next dangling signpost."""
    spoken = " ".join(text.words for text in texts() if text.file != Path(__file__))
    assert not [word for word in FOREIGN if word not in spoken]


# -- a test of the test ---------------------------------------------------------------

HUB = PACKAGE / "hub.py"
MACHINE = PACKAGE / "core" / "machine.py"


@pytest.mark.parametrize(
    ("file", "source", "said"),
    [
        (MACHINE, '"""See ``hub_loop.py``."""', "there is no hub_loop.py"),
        (MACHINE, '"""See\n``core/claims.py``."""', "there is no core/claims.py"),
        (MACHINE, "x = 1  # see docs/reference/lost.md.", "there is no docs/reference/lost.md"),
        (MACHINE, "# tests/races_of_old/ has it", "there is no tests/races_of_old/"),
        (MACHINE, '"""All of ``no_core/`` is pure."""', "there is no no_core/"),
        (MACHINE, "# all of tests/*/no_such_*.py", "there is no tests/*/no_such_*.py"),
        (HUB, 'class A:\n    x: int\n    """Ask ``NoSuch``."""', "no code has the name NoSuch"),
        (HUB, '"""Call ``hub.no_such_method()``."""', "no code has the name no_such_method"),
        (HUB, '"""Call ``NoSuch.close``."""', "no code has the name NoSuch"),
        (HUB, '"""Use ``resumehub.testing.lost``."""', "resumehub.testing.lost cannot be imported"),
        (HUB, '"""A hub. Read next: the machine."""', "what is to be read next?"),
    ],
)
def test_a_dangling_signpost_in_the_code_is_found(file: Path, source: str, said: str) -> None:
    (post,) = [post for text in texts_of_code(file, source) for post in dangling(text)]

    assert post.endswith(said)


@pytest.mark.parametrize(
    "source",
    [
        '"""See ``states.py``, ``hub.py``, ``core/states.py``, tests/races/ and tests/races/test_*.py."""',
        '"""``Machine.handle`` and ``wait_closed(timeout)``. Read next: ``states.py``."""',
        "# docs/tour/races/<name>.py, README.md: two that are there.",
    ],
)
def test_a_signpost_that_leads_somewhere_is_no_fault(source: str) -> None:
    assert not [post for text in texts_of_code(MACHINE, source) for post in dangling(text)]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("`core/claims.py` decides.", "1: there is no core/claims.py"),
        ("Text.\n\n```\nNo text: lost.py\n```\n\nIn tests/lost/ it is.", "7: there is no tests/lost/"),
        ("`core/machine.py`, `Machine.handel`", "1: core/machine.py does not define Machine.handel"),
        ("`Machine.handel` (`core/machine.py`)", "1: core/machine.py does not define Machine.handel"),
        ("`handel` in\n`core/machine.py`", "1: core/machine.py does not define handel"),
        ("The `Machine.wait_closed` of it.", "1: Machine has no wait_closed"),
        ("`core/states.py`, `Machine.handle`", "1: core/states.py does not define Machine.handle"),
    ],
)
def test_a_dangling_signpost_in_a_page_is_found(page: str, said: str) -> None:
    found = list(dangling(text_of_page(ROOT / "docs" / "index.md", page)))

    assert any(post.endswith(f"docs/index.md:{said}") for post in found), found


def test_a_page_may_speak_of_its_own_code_of_links_and_of_addresses() -> None:
    page = (
        "[`gone.py`](x.md) https://example.org/gone.py `say_it_twice`\n\n"
        "```python\ndef say_it_twice(): ...\n```\n\n"
        "`core/machine.py`, `Machine.handle`; `Machine` (`core/machine.py`)"
    )
    assert not list(dangling(text_of_page(ROOT / "docs" / "index.md", page)))
