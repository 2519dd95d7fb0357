"""A resumable session with aiohttp. Run: python python_aiohttp.py "ws://127.0.0.1:8000/ws?id=ada"

It answers a Ping only while it receives: keep a task in ``async for``. A refused dial is a
WSServerHandshakeError with status and headers, without the body.
"""

import asyncio
import json
import random
import sys

import aiohttp


async def run(url: str) -> str:
    """Stay until the session is over; return what ended it."""
    resume, pause = "", 0.25
    async with aiohttp.ClientSession() as http:
        while True:
            wait = pause * random.uniform(0.5, 1.5)
            try:
                async with http.ws_connect(url + resume) as socket:
                    print("open", flush=True)
                    resume, pause = "&resume=true", 0.25
                    await socket.send_str(json.dumps({"event": "say", "payload": "hello"}))
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            print("message", json.loads(message.data).get("payload"), flush=True)
                if socket.close_code in (1000, 4100, 4101, 4403, 4409):
                    return str(socket.close_code)
            except aiohttp.WSServerHandshakeError as refused:
                if refused.status not in (429, 502, 503, 504):
                    return str(refused.status)
                wait = max(wait, float((refused.headers or {}).get("Retry-After", 0)))
            except (aiohttp.ClientError, OSError):
                pass
            pause = min(pause * 2, 30)
            print("wait", round(wait, 1), flush=True)
            await asyncio.sleep(wait)


print("verdict", asyncio.run(run(sys.argv[1])), flush=True)
