"""A payload that is not what the event takes: the asker is told, and no handler sees it (E3)."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from resumehub.router import Router
from tests.support import PATIENCE


@dataclass
class Say:
    text: str


class SayDict(TypedDict):
    text: str


class SayPydantic(pydantic.BaseModel):
    text: str


class SayMsgspec(msgspec.Struct):
    text: str


def say(payload: Any) -> Any:
    if not isinstance(payload, dict) or not isinstance(payload.get("text"), str):
        raise ValueError("text must be a string")
    return payload


@pytest.mark.contract("E3")
@pytest.mark.parametrize("declared", [Say, SayDict, SayPydantic, SayMsgspec, say])
def test_a_wrong_payload_is_told_to_the_asker_and_the_session_lives(stage, caplog, declared: Any) -> None:
    """contract E3: invalid_payload, which names the field; no request: one line in the log, without it."""
    s, router = stage(), Router()
    heard: list[Any] = []

    @router.on("say", declared)
    def hear(connection: Any, message: Any) -> str:
        heard.append(message.payload)
        return "heard"

    s.hub.on_message(router)
    ws = s.open()

    for _ in range(2):
        ws.send(json.dumps({"event": "say", "payload": {"text": ["s3cret"]}}))
    ws.send(json.dumps({"event": "say", "payload": {"text": ["s3cret"]}, "id": "1"}))
    ws.send(json.dumps({"event": "say", "payload": {"text": "hi"}, "id": "2"}))

    refusal = json.loads(ws.receive(PATIENCE))
    assert (refusal["re"], refusal["error"]["code"]) == ("1", "invalid_payload")
    assert "text" in refusal["error"]["message"]
    assert "s3cret" not in refusal["error"]["message"]
    assert json.loads(ws.receive(PATIENCE)) == {"event": "say", "payload": "heard", "re": "2"}
    assert len(heard) == 1
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "s3cret" not in record.getMessage()
