"""The subprotocol ``resumehub.v1`` and the tokens of its sessions: their names and their form.

A token goes into the header Sec-WebSocket-Protocol (contract D3), as a second value beside the
subprotocol's name. Values only; any thread. Read next: ``core/resume.py``, which decides what a token opens.
"""

from __future__ import annotations

import re
from typing import Final

SUBPROTOCOL: Final = "resumehub.v1"
TOKEN_PREFIX: Final = "resumehub.token."

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{12,64}\.[A-Za-z0-9_-]{12,64}", re.ASCII)


def token_of(key: str, secret: str) -> str:
    """A token of the session with that ``key``. Key and secret are random, and safe in a URL."""
    return f"{key}.{secret}"


def key_of(token: str) -> str:
    """The session's part of a token, the same for the session's whole life; "" if this is no token."""
    return token.partition(".")[0] if _TOKEN.fullmatch(token) else ""


def read_offer(offered: list[str]) -> tuple[bool, str]:
    """From a client's list of subprotocols: whether it speaks v1, and its token ("" without exactly one)."""
    tokens = [name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)]
    return SUBPROTOCOL in offered, tokens[0] if len(tokens) == 1 else ""
