"""What the package logs: one logger a module, ids beside the text, nothing of clients' content."""

from __future__ import annotations

import ast
import json
import logging
from typing import Any

import pytest

from resumehub.runtime.foreign_code import EXTRAS, Log
from resumehub.testing import UpgradeRefused
from tests.log_calls import LogCall, log_calls
from tests.package_source import PACKAGE
from tests.support import Stage, text

CONTENT = {
    *("payload", "payloads", "data", "body", "frame", "frames", "raw", "answer", "undelivered"),
    *("token", "tokens", "key", "secret", "cookie", "credentials", "instance"),
    *("environ", "headers", "request", "query", "query_string", "url", "message"),
}
"""What no line may show: what clients send or are sent, what opens a session, what a request has."""


def everywhere(wrong: dict[str, Any]) -> str:
    return "\n".join(f"{where}: {what}" for where, what in wrong.items())


def test_there_is_one_logger_a_module_named_after_it() -> None:
    """So an application can turn one of them down, and a line says where it is from."""
    others = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Log", "logging.getLogger"):
                given = ast.unparse(node.args[0]) if node.args else ""
                if given not in ("__name__", "name", "_PACKAGE", "'resumehub'", "'werkzeug'"):
                    others[f"{path.name}:{node.lineno}"] = given
    assert not others, everywhere(others)


def test_texts_are_constant() -> None:
    """What varies is an argument: lines of one kind can be counted, and none is formatted for nobody."""
    wrong = {
        call.where: ast.unparse(call.text)
        for call in log_calls()
        if not isinstance(call.text, ast.Constant | ast.Name) or call.text is None
    }
    assert not wrong, everywhere(wrong)


def test_what_a_line_is_about_is_also_beside_its_text() -> None:
    """Under the same names everywhere, for logs that are kept as JSON."""
    wrong = {call.where: lacks for call in log_calls() if (lacks := call.needs().keys() - call.names)}
    assert not wrong, everywhere(wrong)
    unknown = {call.where: more for call in log_calls() if (more := call.names - {*EXTRAS})}
    assert not unknown, everywhere(unknown)
    assert not {*EXTRAS} & vars(logging.makeLogRecord({})).keys(), "Python's own attributes"


def test_no_line_shows_what_clients_send_or_what_opens_a_session() -> None:
    wrong = {call.where: shown for call in log_calls() if (shown := call.mentioned() & CONTENT)}
    assert not wrong, everywhere(wrong)


@pytest.mark.parametrize(
    ("source", "finds"),
    [
        ("log.info('a', session.connection_id)", "connection_id"),
        ("log.info('a', self.io.number)", "transport"),
        ("log.info('a', hook)", "hook"),
        ("log.info('a', link.peer.pid)", "peer_pid"),
    ],
)
def test_the_search_finds_what_is_missing(source: str, finds: str) -> None:
    call = LogCall("", ast.parse(source, mode="eval").body)  # type: ignore[arg-type]
    assert call.needs().keys() == {finds}


@pytest.mark.parametrize("shown", ["message.payload", "[self.token]", "str(request)", "f'{frame}'"])
def test_the_search_finds_what_must_not_be_shown(shown: str) -> None:
    call = LogCall("", ast.parse(f"log.info('a', {shown})", mode="eval").body)  # type: ignore[arg-type]
    assert call.mentioned() & CONTENT
    measured = LogCall("", ast.parse(f"log.info('a', len({shown}))", mode="eval").body)  # type: ignore[arg-type]
    assert not measured.mentioned() & CONTENT


def test_a_line_can_be_kept_as_json(stage: Any, caplog: pytest.LogCaptureFixture) -> None:
    """With what it is about as fields of their own, and without what the client said."""
    s: Stage = stage(max_sessions=1, on_full="refuse", ping_interval=None)

    @s.hub.on_message
    def fail(connection: object, message: object) -> None:
        raise RuntimeError("on purpose")

    ws = s.open()
    with pytest.raises(UpgradeRefused):
        s.open("u2")
    ws.send(text("n", "a secret of the client"))
    s.recorder.wait_for("drop")
    lines = {
        record.name: {name: getattr(record, name) for name in EXTRAS if hasattr(record, name)}
        for record in caplog.records
    }
    assert json.loads(json.dumps(lines)) == {
        "resumehub.server.refusal_reports": {"status": 503, "reason": "max_sessions"},
        "resumehub.session.handler_calls": {"connection_id": "u1", "hook": "on_message"},
    }
    assert "a secret of the client" not in caplog.text


def test_a_filter_and_a_level_of_the_package_hold_for_each_module(caplog: pytest.LogCaptureFixture) -> None:
    """An application knows one name, ``resumehub``."""
    seen: list[str] = []

    def only_errors(record: logging.LogRecord) -> bool:
        seen.append(record.name)
        return record.levelno >= logging.ERROR

    package = logging.getLogger("resumehub")
    package.addFilter(only_errors)
    try:
        log = Log("resumehub.server.hub_loop")
        log.warning("not shown")
        log.error("shown")
    finally:
        package.removeFilter(only_errors)
    assert seen == ["resumehub.server.hub_loop"] * 2
    assert caplog.messages == ["shown"]
