"""Uses the extra ``flask``: the extension on a real server, the client that it serves, its commands."""

from __future__ import annotations

import threading
import urllib.request

from flask import Flask, render_template_string
from werkzeug.serving import make_server

from resumehub import Message
from resumehub.client import connect
from resumehub.contrib.flask import Admission, ResumeHub

PATIENCE = 20.0
app = Flask(__name__)
sockets = ResumeHub(app, resume_window=PATIENCE)


@app.get("/")
def page() -> str:
    return render_template_string("{{ resumehub_js() }}")


@sockets.route("/ws/<room>")
def join(room: str) -> Admission:
    return Admission(room, user="ada")


@sockets.on("say")
def say(connection, message):  # type: ignore[no-untyped-def]
    sockets.broadcast(connection.room_id, Message("said", [connection.user, message.payload]))


def main() -> None:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    base = f"http://127.0.0.1:{server.server_port}"
    with connect(f"{base}/ws/lobby") as client:
        client.send(Message("say", "hello"))
        assert client.receive(PATIENCE).payload == ["ada", "hello"]
    with urllib.request.urlopen(base, timeout=PATIENCE) as response:
        script = response.read().decode()
    with urllib.request.urlopen(base + script, timeout=PATIENCE) as response:
        assert b"export" in response.read()
    listed = app.test_cli_runner().invoke(args=["resumehub", "--help"])
    assert listed.exit_code == 0, listed.output
    assert sockets.hub.close().complete
    server.shutdown()
    serving.join()
    server.server_close()
    print(f"a route answered, {script} was served, and flask resumehub has its commands")


if __name__ == "__main__":
    main()
