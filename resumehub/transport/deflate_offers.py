"""Which offer of permessage-deflate is accepted, and with what answer (RFC 7692 §7).

A client may make several offers, the one that it prefers first. Each is judged by itself: one that can't be
parsed, or that §7.1 says to decline, is declined, as is every other extension, and the next one is looked
at. The first that is left is answered. No offer makes a handshake fail: without compression a client works
as well. wsproto judges offers less strictly, and merges several of them into one answer, so it is not asked.
Pure; called on request threads. Read next: ``websocket.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

NAME: Final = "permessage-deflate"

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = r'"(?:[\t !#-\[\]-~]|\\[\t -~])*"'

# RFC 6455 §9.1. An element of the list may be empty (RFC 7230 §7); a comma in quotes separates nothing.
_ELEMENT: Final = re.compile(rf'(?:{_QUOTED}|[^",])*', re.ASCII)
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*(?P<name>{_TOKEN})(?:[ \t]*=[ \t]*(?P<value>{_TOKEN}|{_QUOTED}))?", re.ASCII
)
_EXTENSION: Final = re.compile(rf"[ \t]*(?P<name>{_TOKEN})", re.ASCII)
_TOKEN_ALONE: Final = re.compile(_TOKEN, re.ASCII)

# §7.1.2.1: a decimal number from 8 to 15 without leading zeros.
_WINDOW: Final = re.compile("[89]|1[0-5]", re.ASCII)

_SERVER_FORGETS, _CLIENT_FORGETS = "server_no_context_takeover", "client_no_context_takeover"
_SERVER_WINDOW, _CLIENT_WINDOW = "server_max_window_bits", "client_max_window_bits"

#: zlib makes no raw stream with a smaller window.
_LEAST_WINDOW: Final = 9
_LARGEST_WINDOW: Final = 15

Parameters = dict[str, str | None]


def answer_to(header: str) -> str | None:
    """The ``Sec-WebSocket-Extensions`` that accepts an offer of ``header``; None: no compression.

    Threads: any. Blocks: never. Raises: nothing, whatever ``header`` is.
    """
    for element in _elements(header):
        parameters = _parse(element)
        if parameters is not None and (answer := _accept(parameters)) is not None:
            return answer
    return None


def _elements(header: str) -> Iterator[str]:
    at = 0
    while at <= len(header):
        element = _ELEMENT.match(header, at)
        assert element is not None, "the pattern matches the empty string"
        end = element.end()
        if end < len(header) and header[end] != ",":
            # A quote that has no end: no offer behind it can be told from the text in the quote.
            return
        yield element.group()
        at = end + 1


def _parse(element: str) -> Parameters | None:
    """The parameters of an offer of permessage-deflate; None for anything else."""
    extension = _EXTENSION.match(element)
    if extension is None or extension["name"] != NAME:
        return None
    parameters: Parameters = {}
    at = extension.end()
    while parameter := _PARAMETER.match(element, at):
        name, value = parameter["name"], parameter["value"]
        if name in parameters:
            return None
        if value is not None and value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
            if not _TOKEN_ALONE.fullmatch(value):
                return None
        parameters[name] = value
        at = parameter.end()
    return parameters if not element[at:].strip(" \t") else None


def _accept(offer: Parameters) -> str | None:
    """§7.1: the answer to an offer, None if it must be declined."""
    if not offer.keys() <= {_SERVER_FORGETS, _CLIENT_FORGETS, _SERVER_WINDOW, _CLIENT_WINDOW}:
        return None
    answer = [NAME]
    for name in (_CLIENT_FORGETS, _SERVER_FORGETS):
        if name in offer:
            if offer[name] is not None:
                return None
            answer.append(name)
    if _CLIENT_WINDOW in offer:
        value = offer[_CLIENT_WINDOW]
        if value is not None and not _WINDOW.fullmatch(value):
            return None
        # §7.1.2.2: a client keeps to a window that it has named, also unanswered. We can read any.
        if value is None or int(value) >= _LEAST_WINDOW:
            answer.append(f"{_CLIENT_WINDOW}={value or _LARGEST_WINDOW}")
    if _SERVER_WINDOW in offer:
        value = offer[_SERVER_WINDOW]
        if value is None or not _WINDOW.fullmatch(value) or int(value) < _LEAST_WINDOW:
            return None
        answer.append(f"{_SERVER_WINDOW}={value}")
    return "; ".join(answer)
