"""Input that is no message, and two texts that every codec's errors need.

Values only; any thread. No text here has content of a message, because it goes into logs. Read next:
``codec.py``, which raises ``Undecodable`` for whatever a codec raises.
"""

from __future__ import annotations


class Undecodable(ValueError):
    """The input is no message, or none that the application may see. Internal to resumehub.

    Next: count the message, log once per connection, skip it (contract C11). The text says what was
    wrong and has no content of the input, so it can be logged unchanged. ``told``: what the client is told;
    the same, but for a codec of the application's, of which it learns nothing.
    """

    def __init__(self, problem: str, told: str = "") -> None:
        super().__init__(problem)
        self.told = told or problem


def utf8(text: str) -> bytes:
    """``text`` as UTF-8. Raises: ValueError for half of a surrogate pair, and says where it is."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        position = error.start
    raise ValueError(
        f"the encoded message has half of a surrogate pair at character {position}, which UTF-8 can't "
        "encode; a text was probably cut in the middle of an emoji: try "
        "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')"
    )


def a_kind_of(value: object) -> str:
    """The name of a value's type with its article; nothing of the value."""
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
