"""What docs/howto/troubleshooting.md quotes, logs say and bodies have: the texts and levels are the code's.

A quote is a line of a ```` ```log ```` or ```` ```body ```` block, with ``…`` for what varies. The
first word of a line of a log is its level, the second the logger's name.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_docs import RUN, blocks_of, name_of

LEVELS = {"INFO": {"info"}, "WARNING": {"warning"}, "ERROR": {"error", "exception"}, "CRITICAL": {"critical"}}
HOLE = "\0"


def text_of(node: ast.expr) -> str | None:
    """A text of the source, with a hole where a value goes; None where there is no text."""
    match node:
        case ast.Constant(value=str(text)):
            return re.sub(r"%[sdr]", HOLE, text)
        case ast.JoinedStr(values=parts):
            return "".join(
                (text_of(part) or "") if isinstance(part, ast.Constant) else HOLE for part in parts
            )
    return None


@cache
def texts_of(package: str) -> list[tuple[str, str]]:
    """Each text in a package's code, with the name of the call whose first argument it is, or ``""``."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, package
    assert spec.origin is not None, package
    found = []
    for path in sorted(Path(spec.origin).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        names = {
            node.targets[0].id: node.value
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        calls = {}
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                said = node.args[0]
                calls[names.get(said.id, said) if isinstance(said, ast.Name) else said] = node.func.attr
        for node in nodes:
            if isinstance(node, ast.expr) and (text := text_of(node)) is not None:
                found.append((text, calls.get(node, "")))
    return found


def quotes(language: str) -> Iterator[tuple[str, str]]:
    for page in RUN:
        for block in blocks_of(page.read_text("utf-8")):
            if block.language == language:
                yield from ((name_of(page), line) for line in block.code.splitlines())


def head_of(quote: str, package: str, calls: set[str]) -> str:
    """The beginning of a quote that is what one of these calls logs, up to the first hole; ``""`` without."""
    heads = {text.split(HOLE)[0] for text, call in texts_of(package) if call in calls}
    return max((head for head in heads if quote.startswith(head) and len(head) >= 8), key=len, default="")


def not_said(quote: str, package: str) -> list[str]:
    """The parts of a quote, between what varies, that no text of the package has."""
    texts = [text for text, _ in texts_of(package)]
    parts = [part.strip(" .:)") for part in re.split(r"…|\d+ \w+\): ", quote)]
    return [part for part in parts if part and not any(part in text for text in texts)]


@pytest.mark.parametrize("page, line", list(quotes("log")))
def test_a_quoted_line_of_a_log_is_what_the_code_logs(page: str, line: str) -> None:
    level, logger, text = line.split(" ", 2)
    package = logger.removesuffix(":").split(".")[0]
    head = head_of(text, package, LEVELS[level])
    assert head, "no such call, or with another level"
    assert not_said(text.removeprefix(head), package) == []


@pytest.mark.parametrize("page, line", list(quotes("body")))
def test_a_quoted_body_or_error_is_what_the_code_says(page: str, line: str) -> None:
    assert not_said(line, "resumehub") == []


def test_a_quote_that_no_code_says_is_found() -> None:
    refused = "a client was refused (501 no_socket): this server"
    assert head_of(refused, "resumehub", LEVELS["WARNING"]) == "a client was refused ("
    assert not head_of(refused, "resumehub", LEVELS["ERROR"])
    assert not head_of("a client was turned away (501 no_socket): …", "resumehub", LEVELS["WARNING"])
    assert not_said("501 no_socket): there was no socket", "resumehub") == ["there was no socket"]
    assert not_said("This origin is … allowed, mostly.", "resumehub") == ["allowed, mostly"]


def test_the_page_of_symptoms_quotes_logs_and_bodies() -> None:
    assert len(list(quotes("log"))) >= 9
    assert len(list(quotes("body"))) >= 12
