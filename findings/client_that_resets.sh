#!/usr/bin/env bash
# Werkzeug's server: a client that leaves without reading its answer keeps a descriptor of the server open.
#
# Guessed: when a client has hung up, the server's descriptor of that connection is closed within moments,
#          whether the client has read the answer or not.
# Seen:    only if it has. A close with something unread is a reset (RST), and behind a reset the connection's
#          objects lie in a cycle: dozens of 500 descriptors stay open, for as long as Python's garbage
#          collector does not come by; gc.collect() closes them all. An application that makes no garbage keeps
#          them. (Where a hub counts descriptors on this server: collect first, or read every answer.)
#
# Linux (/proc), CPython from 3.11 on; installs werkzeug 3.1.9 into a folder that is gone afterwards, from the
# index that pip uses. Exit code 1: it is no longer so.
set -euo pipefail
python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "werkzeug${WERKZEUG:-==3.1.9}"
cat >"$folder/reset.py" <<'PYTHON'
import gc, importlib.metadata, logging, os, platform, socket, sys, threading

from werkzeug.serving import make_server

logging.getLogger("werkzeug").disabled = True


def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "12")])
    return [b"a plain page"]


def dial(read_all):
    with socket.create_connection(("127.0.0.1", server.server_port), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = b""
        while (b"page" if read_all else b"\r\n\r\n") not in seen:
            seen += client.recv(1)


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def left(read_all):
    """How many are left of 500, once the threads of the connections have ended; and after a collection."""
    gc.collect()
    before = descriptors()
    for _ in range(500):
        dial(read_all)
    for thread in set(threading.enumerate()) - {threading.main_thread(), serving}:
        thread.join(10)
    at_once = descriptors() - before
    gc.collect()
    return at_once, descriptors() - before


server = make_server("127.0.0.1", 0, app, threaded=True)
serving = threading.Thread(target=server.serve_forever)
serving.start()
seen = {True: left(True), False: left(False)}
server.shutdown()
print("werkzeug", importlib.metadata.version("werkzeug"), "CPython", platform.python_version())
for read_all, (at_once, collected) in seen.items():
    print(f"answer {'read' if read_all else 'not read'}: {at_once} of 500 left, {collected} after gc.collect()")
sys.exit(0 if seen[True] == (0, 0) and seen[False][0] > 5 and seen[False][1] == 0 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/reset.py"
