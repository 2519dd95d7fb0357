"""A resumable session with websocket-client. Run: python python_websocket_client.py "ws://127.0.0.1:8000/ws?id=ada"

One run_forever for each dial, and never its ``reconnect``, which redials the same URL for ever.
run_forever also answers Pings; a bare WebSocket does so only inside of recv.
"""

import json
import random
import sys
import time

import websocket


class Dial:
    """One dial: what became of it is in ``verdict`` and ``retry_after``."""

    def __init__(self, url: str) -> None:
        self.opened, self.verdict, self.retry_after = False, 1006, 0.0
        self._app = websocket.WebSocketApp(
            url, on_open=self._open, on_message=self._message, on_error=self._error, on_close=self._close
        )
        self._app.run_forever()

    def _open(self, app: websocket.WebSocketApp) -> None:
        self.opened = True
        print("open", flush=True)
        app.send(json.dumps({"event": "say", "payload": "hello"}))

    def _message(self, app: websocket.WebSocketApp, text: str) -> None:
        print("message", json.loads(text).get("payload"), flush=True)

    def _error(self, app: websocket.WebSocketApp, error: Exception) -> None:
        if isinstance(error, websocket.WebSocketBadStatusException):
            self.verdict = error.status_code
            self.retry_after = float((error.resp_headers or {}).get("retry-after", 0))

    def _close(self, app: websocket.WebSocketApp, code: int | None, reason: str | None) -> None:
        self.verdict = code or self.verdict


resume, pause = "", 0.25
while True:
    dial = Dial(sys.argv[1] + resume)
    if dial.opened:
        resume, pause = "&resume=true", 0.25
    if dial.verdict in (1000, 4100, 4101, 4403, 4409) or (400 <= dial.verdict < 500 and dial.verdict != 429):
        break
    wait = max(pause * random.uniform(0.5, 1.5), dial.retry_after)
    pause = min(pause * 2, 30)
    print("wait", round(wait, 1), flush=True)
    time.sleep(wait)
print("verdict", dial.verdict, flush=True)
