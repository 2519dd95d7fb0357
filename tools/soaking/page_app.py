"""The application of the cluster tests, with a page on which a client of resumehub.js counts.

``/page?name=…&room=…&pace=…&window=…`` is the page; its client is ``client``, and ``traffic`` what sends. All
other paths: ``tests/cluster/numbered_app.py``. Imported by gunicorn's workers; read next: ``js_clients.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

from tests.cluster import numbered_app

hub = numbered_app.hub

_HERE = Path(__file__).parent
_FILES = {
    "/files/resumehub.js": _HERE.parents[1] / "resumehub" / "static" / "resumehub.js",
    "/files/counting_client.js": _HERE / "counting_client.js",
}
_PAGE = """<!doctype html>
<html lang="en"><title>counts</title><link rel="icon" href="data:,">
<script type="module">
import { connect } from "/files/resumehub.js";
import { Counting } from "/files/counting_client.js";

const query = Object.fromEntries(new URLSearchParams(location.search));
window.client = new Counting(connect, `/ws?name=${query.name}&room=${query.room}`, query.name);
window.traffic = setInterval(() => client.say(Number(query.window)), Number(query.pace) * 1000);
</script></html>
"""


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/page":
        return Response(_PAGE, mimetype="text/html")(environ, start_response)
    if path in _FILES:
        return Response(_FILES[path].read_bytes(), mimetype="text/javascript")(environ, start_response)
    return numbered_app.app(environ, start_response)
