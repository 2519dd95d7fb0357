"""Which names the demo answers to: a request for any other one is refused.

A page of another site can have its own name point to this machine for a moment (DNS rebinding). The browser
then takes the demo for a part of that site, ``Origin`` and all. But it says in ``Host`` which name it asked
for, and no page can change that. An address can't be made to point elsewhere, nor can ``localhost``; of all
other names only those are answered that somebody has allowed. Called by ``app.py`` on WSGI request threads.
It knows no HTTP.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def normalized(names: Iterable[str]) -> frozenset[str]:
    """Give ``names`` as ``answers_to`` compares them: without case, and without a dot at the end."""
    return frozenset(name.lower().rstrip(".") for name in names)


def answers_to(header: str, allowed: frozenset[str]) -> bool:
    """Whether the demo answers a request with this ``Host``; ``allowed`` is what ``normalized`` gave."""
    if header.startswith("["):
        name, bracket, rest = header[1:].partition("]")
        return bool(bracket) and (not rest or rest.startswith(":")) and _is_address(name)
    (name,) = normalized([header.partition(":")[0]])
    return _is_address(name) or name == "localhost" or name.endswith(".localhost") or name in allowed


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
