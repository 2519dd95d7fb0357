"""What the cases are played against: a hub that sends back what it gets, on a server of one's choice.

gunicorn imports ``app``; ``python -m tools.conforming.app PORT`` serves it by Werkzeug. The options are those
that the cases need and no other: messages of 16 MiB and buffers for some of them, no limit on how much a
client sends, permessage-deflate, no heartbeat (a case counts each frame), no session that outlives its
connection. Read next: ``run.py``.
"""

from __future__ import annotations

import sys

from resumehub import Connection, Hub, Message

LARGEST = 16 << 20
"""Bytes: the largest message of a case."""


class Raw:
    """A codec that sends back a text as a text and bytes as bytes, unread."""

    def encode(self, message: Message) -> str | bytes:
        data: str | bytes = message.payload
        return data

    def decode(self, data: str | bytes) -> Message:
        return Message(payload=data)


app = Hub(
    lambda request: ("cases", None),
    codec=Raw(),
    compression=True,
    resume_window=0,
    ping_interval=None,
    rate=None,
    max_message_size=LARGEST,
    send_buffer=2000,
    send_buffer_bytes=4 * LARGEST,
)


@app.on_message
def echo(connection: Connection, message: Message) -> None:
    connection.send(message)


if __name__ == "__main__":
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
