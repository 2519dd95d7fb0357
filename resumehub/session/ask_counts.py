"""Tells the collector of each request to a client, and what became of it. On the thread that asks.

It is counted at the handle (``connection.py``, and ``RemoteConnection`` in a process without the hub), and so
once, however often a hub that moves makes the thread ask again. Read next: ``asking.py``, ``orders.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import (
    ConnectionClosed,
    ConnectionNotFound,
    HubUnavailable,
    RequestFailed,
    RequestInDoubt,
    RequestTimeout,
)
from ..reasons import AskOutcome
from .observers import TellCollector


def counted(count: TellCollector, room_id: str, connection_id: str, ask: Callable[[], Any]) -> Any:
    """What ``ask`` returns. Raises: what it raises. Blocks: as it does."""
    count("request_asked", room_id, connection_id)
    outcome = AskOutcome.UNSENT
    try:
        answer = ask()
        outcome = AskOutcome.ANSWERED
    except RequestFailed:
        outcome = AskOutcome.REFUSED
        raise
    except RequestTimeout:
        outcome = AskOutcome.TIMEOUT
        raise
    except (RequestInDoubt, ConnectionClosed, ConnectionNotFound, HubUnavailable):
        outcome = AskOutcome.LOST
        raise
    finally:
        count("request_settled", room_id, connection_id, outcome.value)
    return answer
