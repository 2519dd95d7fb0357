"""Uses the installed package with nothing beside it: a hub on werkzeug, and clients that drop and come back.

Every module of the package is imported; those that need an extra say which one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import pkgutil
import queue
import subprocess
import sys
import threading
import urllib.request

from werkzeug.serving import make_server

import resumehub
from resumehub import CloseCode, Hub, Message
from resumehub.client import connect

PATIENCE = 20.0
CANNOT_BE_IMPORTED = {
    "resumehub.__main__": "it is the command",
    "resumehub.testing.plugin": "it is for pytest",
}


def main() -> None:
    import_everything()
    drop_and_resume()
    serve_the_demo()
    print_the_client()


def import_everything() -> None:
    """A module can be imported, or its ImportError says what to install."""
    imported, refused = 0, []
    for module in pkgutil.walk_packages(resumehub.__path__, "resumehub.", onerror=lambda name: None):
        if module.name in CANNOT_BE_IMPORTED:
            continue
        try:
            importlib.import_module(module.name)
            imported += 1
        except ImportError as error:
            if "pip install 'resumehub[" not in str(error):
                raise
            refused.append(f"{module.name} ({str(error).partition(': ')[2]})")
    print(f"{imported} modules can be imported; not without an extra: {', '.join(refused) or 'none'}")


def drop_and_resume() -> None:
    """Two lossless clients on a real server; one loses its connection, and nothing else."""
    restored = queue.Queue[str]()
    dropped = queue.Queue[str]()
    hub = Hub(lambda request: ("lobby", None), resume_window=PATIENCE)

    @hub.on_message
    def say(connection: resumehub.Connection, message: Message) -> None:
        hub.broadcast("lobby", Message("said", message.payload))

    hub.on_transport_drop(lambda connection, error: dropped.put(connection.id))
    hub.on_transport_restore(lambda connection: restored.put(connection.id))
    server = make_server("127.0.0.1", 0, hub, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    url = f"ws://127.0.0.1:{server.server_port}/"
    with connect(url) as ada, connect(url) as bob:
        assert ada.wait_connected(PATIENCE)
        assert bob.wait_connected(PATIENCE)
        assert ada.lossless
        assert hub.count("lobby") == 2
        for number in range(100):
            bob.send(Message("say", number))
            if number == 50:
                lost = ada.connection_id
                assert lost is not None
                assert hub.cut(lost)
                assert dropped.get(timeout=PATIENCE) == lost
        assert [ada.receive(PATIENCE).payload for _ in range(100)] == list(range(100))
        assert [bob.receive(PATIENCE).payload for _ in range(100)] == list(range(100))
        assert restored.get(timeout=PATIENCE) == lost
    assert hub.close().complete
    assert CloseCode.SESSION_EXPIRED == 4100
    server.shutdown()
    serving.join()
    server.server_close()
    print("a client that dropped has resumed, and heard 100 of 100 messages, in order")


def serve_the_demo() -> None:
    """``resumehub serve`` has its page, and all that the page loads."""
    command = [sys.executable, "-I", "-m", "resumehub", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        try:
            url = next(word for line in demo.stdout for word in line.split() if word.startswith("http://"))
            page = fetch(url)
            assert b"<!doctype html>" in page.lower()
            static = importlib.resources.files("resumehub") / "static"
            files = [
                file.name for file in static.iterdir() if file.name not in ("index.html", "package.json")
            ]
            for name in files:
                assert fetch(f"{url}static/{name}") == (static / name).read_bytes(), name
        finally:
            demo.terminate()
            rest = demo.stdout.read()
    assert demo.returncode == 0, rest
    print(f"resumehub serve: its page, and the {len(files)} files in static/ that a page can load")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        content: bytes = response.read()
        return content


def print_the_client() -> None:
    """``resumehub client-js`` and ``--version``, by the command that pip has installed."""
    command = f"{sys.prefix}/bin/resumehub"
    script = subprocess.run([command, "client-js"], capture_output=True, check=True).stdout
    assert b"export" in script
    version = subprocess.run([command, "--version"], capture_output=True, check=True, text=True).stdout
    assert version.split() == ["resumehub", importlib.metadata.version("resumehub")]
    print(f"resumehub client-js: {len(script)} bytes; --version: {version.strip()}")


if __name__ == "__main__":
    main()
