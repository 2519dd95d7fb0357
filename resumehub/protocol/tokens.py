"""The subprotocol ``resumehub.v1`` and the tokens of its sessions: their names and their form.

A token goes into the header Sec-WebSocket-Protocol (contract D3), as a second value beside the
subprotocol's name. Values only; any thread. Read next: ``core/resume.py``, which decides what a token opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

SUBPROTOCOL: Final = "resumehub.v1"
TOKEN_PREFIX: Final = "resumehub.token."

_HIDDEN: Final = "sha256-"
"""How the second part of a token begins that was replaced by its hash. No random one does, but for chance."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{12,64}\.[A-Za-z0-9_-]{12,64}", re.ASCII)


def token_of(key: str, secret: str) -> str:
    """A token of the session with that ``key``. Key and secret are random, and safe in a URL."""
    return f"{key}.{secret}"


def key_of(token: str) -> str:
    """The session's part of a token, the same for the session's whole life; "" if this is no token."""
    return token.partition(".")[0] if _TOKEN.fullmatch(token) else ""


def hidden(token: str) -> str:
    """``token`` as it is written down: it can be recognised, and opens nothing. Twice is once."""
    key, _, secret = token.partition(".")
    if not secret or secret.startswith(_HIDDEN):
        return token
    digest = hashlib.sha256(token.encode()).digest()
    return f"{key}.{_HIDDEN}{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def is_same(presented: str, kept: str) -> bool:
    """Whether a client has presented the token that we keep, perhaps hidden. As slow for a wrong one."""
    shown = hidden(presented) if kept.partition(".")[2].startswith(_HIDDEN) else presented
    # What is hidden can't be presented: whoever has read the file knows no token.
    is_a_hash = presented.partition(".")[2].startswith(_HIDDEN)
    return hmac.compare_digest(shown.encode(), kept.encode()) & (not is_a_hash)


def read_offer(offered: list[str]) -> tuple[bool, str]:
    """From a client's list of subprotocols: whether it speaks v1, and its token ("" without exactly one)."""
    tokens = [name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)]
    return SUBPROTOCOL in offered, tokens[0] if len(tokens) == 1 else ""
