"""The smallest refusal: a code of resumehub's own and the id of the request, as a frame.

It goes out where an answer can't: it is encoded by a codec of the application's, and may pass the bounds of
the outbox, so it has nothing in it that the application or a client chose but the id. Any thread, without a
lock; never blocks. Read next: ``answering.py``.
"""

from __future__ import annotations

from ..codec import Codec, encode_frame
from ..message import Frame, Message
from ..reasons import RequestRefusal
from ..runtime.foreign_code import Log, passes

log = Log(__name__)


def encode_refusal(codec: Codec, request_id: str, refusal: RequestRefusal, whose: str) -> Frame | None:
    """The refusal of a request of the session ``whose``; None if the codec can't encode it (logged)."""
    try:
        told = {"code": refusal.value, "message": ""}
        return encode_frame(codec, Message(re=request_id, error=told), correlated=True)
    except BaseException as error:
        if passes(error):
            raise
        log.error("the codec can't encode the refusal of a request of %r", whose, exc_info=error)
        return None
