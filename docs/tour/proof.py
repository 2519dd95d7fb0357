"""What has a page seen when its browser has answered for it? proof.md measures it, with a real Chromium.

    python docs/tour/proof.py [rounds]           # proof by Pong: a server without any library around it
    python docs/tour/proof.py --acks [rounds]    # proof by $ack: a hub, on Werkzeug's server

In each round a server sends numbered messages to a page and cuts the connection as soon as it has the proof
that message n arrived. Then the page says how many it has seen. `missing`: proven to have arrived, not seen.

Needs Chromium and chromedriver on the PATH, and `pip install selenium`. Read `by_pong` first, then `by_ack`.
"""

import argparse
import json
import queue
import random
import shutil
import socket
import struct
import threading
from collections import namedtuple
from contextlib import contextmanager, suppress

from werkzeug import Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Ping, Pong, TextMessage

from resumehub import Hub, Message

SENT = 400  # messages in a round
STEP = 10  # so many messages from one Ping, or $ack, to the next
FILLING = "x" * 1000  # in each message
HOST, PATIENCE = "127.0.0.1", 20.0  # seconds; a hang guard only

# A page that is a little busy: half a millisecond for each message, as if it drew something.
PAGE = """<!doctype html><title>proof</title><link rel="icon" href="data:,"><script>
function dial(url, protocols, enough) {
  const socket = new WebSocket(url, protocols), acks = protocols.length > 0;
  const say = (event, payload) => socket.send(JSON.stringify({ event, payload }));
  let seen = 0;
  socket.onmessage = ({ data }) => {
    const { event } = JSON.parse(data);
    if (event === "$hello") say("$ack", { received: seen });
    if (event !== "news") return;
    for (const start = performance.now(); performance.now() < start + 0.5;);
    seen += 1;                                                     // not before the work is done
    if (acks && seen % STEP === 0) say("$ack", { received: seen });
    if (acks && seen === enough) say("enough");
  };
  window.ended = new Promise((resolve) => { socket.onclose = () => resolve(seen); });
}</script>"""

Round = namedtuple("Round", "sent proven seen")


def missing(one):
    """How many messages of a round are proven to have arrived, and have not been seen."""
    return max(0, one.proven - one.seen)


# -- proof by Pong --------------------------------------------------------------------


@contextmanager
def by_pong(chrome):
    """Give a function that plays a round: cut the connection when Pong(n) is here."""
    with socket.create_server((HOST, 0)) as listener, page_in(chrome):
        listener.settimeout(PATIENCE)

        def play(number):
            enough = random.Random(number).randrange(150, 300, STEP)
            dial(chrome, f"ws://{HOST}:{listener.getsockname()[1]}/", [], enough)
            line, _ = listener.accept()
            with line:
                ponged = send_until_pong(line, enough)
            return Round(SENT, ponged, seen_by(chrome))

        yield play


def send_until_pong(line, enough):
    """Send everything, a Ping behind each message; give the number in the Pong that is enough."""
    line.settimeout(PATIENCE)
    ws = WSConnection(ConnectionType.SERVER)
    events = events_of(ws, line)
    next(events)  # the request
    frames = [ws.send(AcceptConnection())]
    for n in range(1, SENT + 1):
        message = json.dumps({"event": "news", "payload": [n, FILLING]})
        frames.append(ws.send(TextMessage(message)))
        if n % STEP == 0:
            frames.append(ws.send(Ping(str(n).encode())))
    line.sendall(b"".join(frames))
    pongs = (int(event.payload) for event in events if isinstance(event, Pong))
    ponged = next(n for n in pongs if n >= enough)
    # With SO_LINGER 0, close() sends a reset: no closing handshake, as when a server is killed.
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return ponged


def events_of(ws, line):
    while data := line.recv(65536):
        ws.receive_data(data)
        yield from ws.events()


# -- proof by $ack --------------------------------------------------------------------


@contextmanager
def by_ack(chrome):
    """Give a function that plays a round: cut the connection when `$ack` n is here."""
    undelivered = queue.Queue()
    with Hub(lambda request: ("room", request.args["id"]), send_buffer=SENT) as hub:

        @hub.on_connect
        def send_everything(connection):
            for n in range(1, SENT + 1):
                connection.send(Message("news", [n, FILLING]))

        @hub.on_message
        def enough_is_acknowledged(connection, message):
            hub.cut(connection.id)  # not for applications: it plays the broken network

        @hub.on_disconnect
        def what_is_left(connection, error):
            undelivered.put(len(connection.undelivered))

        def play(number):
            enough = random.Random(number).randrange(150, 300, STEP)
            dial(chrome, f"ws://{HOST}:{port}/hub/?id={number}", ["resumehub.v1"], enough)
            seen = seen_by(chrome)
            hub.kick(str(number))  # nobody resumes here, so the session need not wait for that
            return Round(SENT, SENT - undelivered.get(timeout=PATIENCE), seen)

        with page_in(chrome, {"/hub": hub}) as port:
            yield play


# -- the browser ----------------------------------------------------------------------


def open_chromium():
    from selenium import webdriver

    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not binary or not driver:
        raise SystemExit("needs Chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Handler(WSGIRequestHandler):
    """Logs nothing, and keeps the lines: Chromium opens one in advance and may never use it."""

    def setup(self):
        super().setup()
        self.server.lines.append(self.connection)

    def log_request(self, *details):
        pass


@contextmanager
def page_in(chrome, mounts=None):
    """Serve the page, and what is mounted beside it; open it; give the port."""
    app = DispatcherMiddleware(Response(PAGE.replace("STEP", str(STEP)), mimetype="text/html"), mounts)
    server = make_server(HOST, 0, app, threaded=True, request_handler=Handler)
    server.lines = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="page")
    thread.start()
    try:
        chrome.get(f"http://{HOST}:{server.server_port}/")
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for line in server.lines:
            with suppress(OSError):  # closed long ago
                line.shutdown(socket.SHUT_RDWR)


def dial(chrome, url, protocols, enough):
    chrome.execute_script("dial(...arguments)", url, protocols, enough)


def seen_by(chrome):
    """Wait until the page knows that the connection is gone; give how many messages it has seen by then."""
    return chrome.execute_async_script("ended.then(arguments[0])")


# -- the table ------------------------------------------------------------------------


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Compare what was proven to have arrived with what a page saw."
    )
    parser.add_argument("rounds", type=int, nargs="?", default=40)
    parser.add_argument("--acks", action="store_true", help="proof by $ack, with a hub, in place of Pongs")
    options = parser.parse_args(arguments)
    experiment, proof = (by_ack, "acked") if options.acks else (by_pong, "ponged")
    chrome = open_chromium()
    try:
        print(f"Chromium {chrome.capabilities['browserVersion']}, {options.rounds} rounds")
        print(f"round  sent  {proof:>6}  seen  missing")
        with experiment(chrome) as play:
            rounds = []
            for number in range(1, options.rounds + 1):
                rounds.append(one := play(number))
                print(f"{number:5}{one.sent:6}{one.proven:8}{one.seen:6}{missing(one) or '-':>9}", flush=True)
    finally:
        chrome.quit()
    short = [missing(one) for one in rounds if missing(one)]
    by = f", by up to {max(short)} messages" if short else ""
    print(f"fewer seen than {proof} in {len(short)} of {len(rounds)} rounds{by}")


if __name__ == "__main__":
    main()
