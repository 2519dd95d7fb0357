"""Runs one server on an inherited socket: ``python -m tools.benching.servers MODULE FD [werkzeug]``.

``werkzeug``: serve the module's ``app`` with Werkzeug's threaded server; otherwise the module's own
``serve(sock)``. (gunicorn is run as its users run it, see ``contenders.py``.) Ended by a signal.
"""

from __future__ import annotations

import importlib
import logging
import socket
import sys


def main(module_name: str, descriptor: str, how: str = "own") -> None:
    module = importlib.import_module(f"{__package__}.{module_name}")
    sock = socket.socket(fileno=int(descriptor))
    if how == "own":
        module.serve(sock)
        return
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    host, port = sock.getsockname()
    make_server(host, port, module.app, threaded=True, fd=sock.fileno()).serve_forever()


main(*sys.argv[1:])
