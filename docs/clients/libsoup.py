"""A resumable session with libsoup 3, from Python. Run: python3 libsoup.py "ws://127.0.0.1:8000/ws?id=ada"

A refused dial is a GLib.Error; status and headers are those of the message. It follows redirects silently.
"""

import json
import random
import sys

import gi

gi.require_version("Soup", "3.0")
from gi.repository import GLib, Soup  # noqa: E402

OVER = (1000, 4100, 4101, 4403, 4409)


class Client:
    def __init__(self, url: str) -> None:
        self.url, self.resume, self.pause = url, "", 0.25
        self.http, self.loop = Soup.Session(), GLib.MainLoop()
        self.socket = None
        self.dial()
        self.loop.run()

    def dial(self) -> bool:
        message = Soup.Message.new("GET", self.url + self.resume)
        self.http.websocket_connect_async(message, None, None, 0, None, self.dialled, message)
        return False  # this timer is over

    def dialled(self, http: Soup.Session, result: object, message: Soup.Message) -> None:
        try:
            self.socket = http.websocket_connect_finish(result)
        except GLib.Error:
            status = int(message.get_status())
            if 400 <= status < 500 and status != 429:
                return self.stop(status)
            return self.again(float(message.get_response_headers().get_one("Retry-After") or 0))
        print("open", flush=True)
        self.resume, self.pause = "&resume=true", 0.25
        self.socket.connect("message", self.heard)
        self.socket.connect("closed", self.closed)
        self.socket.send_text(json.dumps({"event": "say", "payload": "hello"}))

    def heard(self, socket: object, kind: int, data: GLib.Bytes) -> None:
        print("message", json.loads(data.get_data()).get("payload"), flush=True)

    def closed(self, socket: Soup.WebsocketConnection) -> None:
        code = socket.get_close_code()
        if code in OVER:
            return self.stop(code)
        return self.again(0)

    def again(self, at_least: float) -> None:
        wait = max(self.pause * random.uniform(0.5, 1.5), at_least)
        self.pause = min(self.pause * 2, 30)
        print("wait", round(wait, 1), flush=True)
        GLib.timeout_add(int(wait * 1000), self.dial)

    def stop(self, verdict: int) -> None:
        print("verdict", verdict, flush=True)
        self.loop.quit()


Client(sys.argv[1])
