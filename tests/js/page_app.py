"""What the browser tests of the JavaScript client talk to: a hub, a page with the client in it, and levers.

Served by a process of its own (``tests.integration.servers.werkzeug``). The hub's clock is moved by
``/advance`` only, so that a session expires when a test says so.

| path | does |
|---|---|
| ``/`` | a page: ``session`` is the client's session, ``log`` what it told; ``?frames=2``: in frames, too |
| ``/?worker`` | the same, with the client in a Worker: ``session`` has what the Worker has told of it |
| ``/ws?id=`` | the hub; it echoes each message, and answers a request with its payload |
| ``/handled`` | JSON: what the hub's application has handled |
| ``/answer`` | answers the requests of ``later``, which wait for this |
| ``/ask?id=&payload=`` | asks that session's client, and gives its answer |
| ``/cut?id=`` | ends that session's transport without a close frame |
| ``/say?text=`` | broadcasts |
| ``/advance?seconds=`` | moves the clock |
"""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue

from flask import Flask, Response, jsonify, request

from resumehub import Connection, Hub, Message
from resumehub.testing import FakeClock

STATIC = Path(__file__).parents[2] / "resumehub" / "static"
PAGE = """<!doctype html>
<html lang="en"><title>client</title><link rel="icon" href="data:,">
<script type="module" src="/page.js"></script></html>
"""
SCRIPT = """
import { connect } from "/static/resumehub.js";

const query = new URLSearchParams(location.search);
window.log = [];
const note = (kind) => (detail) => window.log.push({ kind, ...detail });
window.session = connect(({ tab }) => `/ws?id=${tab}`, {
  platform: query.has("nolocks") ? { locks: undefined } : {},
  storage: query.has("local") ? localStorage : undefined,
  pause: () => Number(query.get("pause") ?? 20),
  onMessage(event, payload) {
    window.log.push({ kind: "message", payload });
    sessionStorage.diary = JSON.stringify([...JSON.parse(sessionStorage.diary ?? "[]"), payload]);
  },
  onConnect: note("connect"),
  onDrop: note("drop"),
  onRestore: note("restore"),
  onExpired: note("expired"),
  onClosed: note("closed"),
  onState: note("state"),
});
window.ask = (event, payload, options) => session.request(event, payload, options).then(
  (answer) => window.log.push({ kind: "answer", payload: answer }),
  ({ name }) => window.log.push({ kind: "failed", name }),
);
window.frame = () => {
  const frame = document.createElement("iframe");
  frame.src = location.href.replace(/frames=\\d+/, "");
  document.body.append(frame);
};
for (let i = Number(query.get("frames") ?? 0); i > 0; i -= 1) window.frame();
"""

WORKER = """
import { connect } from "/static/resumehub.js";

const told = () => ({ state: session.state, tab: session.tab });
const tell = (kind, detail) => postMessage({ entry: { kind, ...detail }, ...told() });
const session = connect(({ tab }) => `/ws?id=${tab}`, {
  pause: () => 3_600_000,
  onMessage: (event, payload) => tell("message", { payload }),
  onState: (detail) => tell("state", detail),
  onExpired: (detail) => tell("expired", detail),
});
onmessage = ({ data: [method, ...said] }) => {
  const answer = session[method](...said);
  const failed = ({ name }) => tell("failed", { name });
  if (method === "request") answer.then((payload) => tell("answer", { payload }), failed);
};
"""
PAGE_OF_WORKER = """
const worker = new Worker("/worker.js", { type: "module" });
window.log = [];
window.session = { state: "idle", tab: "", send: (...said) => worker.postMessage(["send", ...said]) };
window.ask = (...said) => worker.postMessage(["request", ...said]);
worker.onmessage = ({ data: { entry, ...told } }) => {
  Object.assign(window.session, told);
  window.log.push(entry);
};
"""

clock = FakeClock()
app = Flask(__name__, static_folder=str(STATIC), static_url_path="/static")
hub = Hub(resume_window=30.0, ping_interval=None, refusal_delay=0.0, clock=clock)
handled: list[object] = []
deferred: SimpleQueue[Message] = SimpleQueue()


@hub.on_message
def keep(connection: Connection, message: Message) -> object:
    handled.append(message.payload)
    if message.id is None:
        connection.send(Message("echo", message.payload))
    elif message.event == "later":
        message.defer()
        deferred.put(message)
    return message.payload


@app.get("/")
def page() -> str:
    return PAGE


@app.get("/page.js")
def script() -> Response:
    script = PAGE_OF_WORKER if "?worker" in (request.referrer or "") else SCRIPT
    return Response(script, mimetype="text/javascript")


@app.get("/worker.js")
def worker() -> Response:
    return Response(WORKER, mimetype="text/javascript")


@app.get("/ws")
@app.get("/ws", websocket=True)
def ws() -> Response:
    return hub.upgrade(request, "room", request.args["id"])


@app.get("/handled")
def what_was_handled() -> Response:
    return jsonify(handled)


@app.get("/answer")
def answer() -> Response:
    while not deferred.empty():
        message = deferred.get()
        message.reply(message.payload)
    return jsonify(True)


@app.get("/ask")
def ask() -> Response:
    connection = hub.get(request.args["id"])
    assert connection is not None
    return jsonify(connection.request("double", int(request.args["payload"]), timeout=None))


@app.get("/cut")
def cut() -> Response:
    return jsonify(hub.cut(request.args["id"]))


@app.get("/say")
def say() -> Response:
    hub.broadcast("room", Message("news", request.args["text"]))
    return jsonify(True)


@app.get("/advance")
def advance() -> Response:
    clock.advance(float(request.args["seconds"]))
    return jsonify(True)
