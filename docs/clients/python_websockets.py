"""A resumable session with websockets. Run: python python_websockets.py "ws://127.0.0.1:8000/ws?id=ada"

A refused dial is an InvalidStatus with status and headers: no reject=close here, and no ``async for``, which
redials without a pause.
"""

import json
import random
import sys
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect


def run(url: str) -> str:
    """Stay until the session is over; return what ended it."""
    resume, pause = "", 0.25
    while True:
        wait = pause * random.uniform(0.5, 1.5)
        try:
            with connect(url + resume, open_timeout=10) as socket:
                print("open", flush=True)
                resume, pause = "&resume=true", 0.25
                socket.send(json.dumps({"event": "say", "payload": "hello"}))
                for text in socket:
                    print("message", json.loads(text).get("payload"), flush=True)
            return "1000"
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status not in (429, 502, 503, 504):
                return str(status)
            wait = max(wait, float(refused.response.headers.get("Retry-After", 0)))
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            if code in (4100, 4101, 4403, 4409):
                return str(code)
        except (OSError, EOFError, TimeoutError):
            pass
        pause = min(pause * 2, 30)
        print("wait", round(wait, 1), flush=True)
        time.sleep(wait)


print("verdict", run(sys.argv[1]), flush=True)
