"""The command line: ``serve`` runs the demo on Werkzeug's threaded server, ``client-js`` prints the client.

With ``serve --workers`` gunicorn takes the place of Werkzeug's server, and of this process.

``serve`` reads arguments, opens the listening socket, waits for a signal and closes everything in order. An
argument or port that cannot be used gives one line on stderr and exit code 2. This module does not know what
it serves. Read next: ``demo/app.py``.

Threads: ``main`` runs on the main thread, because Python delivers signals there; the server accepts
connections on a second thread.
"""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import importlib.resources
import importlib.util
import ipaddress
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from resumehub import cluster_commands
from resumehub.runtime import limits
from resumehub.runtime.system import SystemRuntime

if TYPE_CHECKING:
    from resumehub.demo import DemoApp

log = logging.getLogger(__name__)

BACKLOG: Final = 4_096
"""How many connections may wait to be accepted: after an outage all clients come back at once."""

MAX_SESSIONS: Final = 10_000
"""The hub's own default."""

CLOSE_TIMEOUT: Final = 5.0
EXIT_OK: Final = 0
EXIT_STUCK: Final = 1
EXIT_USAGE: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0: done, or ended in order by a signal. 1: ended, but a thread of the hub is stuck. 2: bad usage.
    Raises: SystemExit for ``--help``, ``--version`` and bad arguments. Threads: the main thread.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "client-js":
        return _print_client(arguments.types)
    if arguments.command in ("hub", "cluster", "drain", "undrain"):
        return _run_cluster_command(arguments)
    try:
        return _serve(arguments)
    except _UsageError as error:
        print(f"resumehub serve: error: {error}", file=sys.stderr)
        return EXIT_USAGE


def _run_cluster_command(arguments: argparse.Namespace) -> int:
    try:
        return cluster_commands.run_command(arguments)
    except cluster_commands.CommandError as error:
        print(f"resumehub {arguments.command}: error: {error}", file=sys.stderr)
        return EXIT_USAGE


class _UsageError(Exception):
    """The arguments cannot be used; the text says why, in one line."""


class _Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, without the usage text before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="resumehub", description="Resumable WebSocket sessions.")
    parser.add_argument("--version", action="version", version=f"resumehub {_version()}")
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    serve = commands.add_parser(
        "serve",
        help="serve the demo: a chat whose connection you can cut",
        description="Serve the demo: a chat page on which you cut your own connection and watch what the hub "
        "does then. Stop it with Ctrl-C.",
    )
    _add_network_options(serve)
    _add_hub_options(serve)
    serve.add_argument("--verbose", action="store_true", help="log every request and what the hub does")
    client = commands.add_parser(
        "client-js",
        help="print the JavaScript client",
        description="Print the JavaScript client, one ES module without dependencies, to standard output.",
    )
    client.add_argument("--types", action="store_true", help="print its TypeScript declarations instead")
    cluster_commands.add_commands(commands)
    return parser


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("network")
    group.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (default: %(default)s)"
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name, too, for example that of a proxy; addresses, localhost, this machine's "
        "own name and the one of --host need not be named. May be given several times",
    )
    group.add_argument(
        "--port",
        type=_port,
        default=8000,
        metavar="NUMBER",
        help="TCP port to listen on; 0 takes a free one (default: %(default)s)",
    )
    group.add_argument(
        "--workers",
        type=_workers,
        metavar="NUMBER",
        help="serve with so many gunicorn workers, which share one hub, and show a button that reloads them; "
        "needs gunicorn, which tools/serve installs by itself (default: one process, Werkzeug's server)",
    )


def _add_hub_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the hub")
    group.add_argument(
        "--resume-window",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long a session waits for its client to come back; 0 turns resumption off "
        "(default: %(default)g s)",
    )
    group.add_argument(
        "--ping-interval",
        type=_seconds_or_off,
        default=20.0,
        metavar="SECONDS",
        help='time between two pings, longer than --write-timeout; "off" for no pings '
        "(default: %(default)g s)",
    )
    group.add_argument(
        "--write-timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long a peer may take no byte, or leave a ping unanswered (default: %(default)g s)",
    )
    group.add_argument(
        "--send-buffer",
        type=_count,
        default=256,
        metavar="MESSAGES",
        help="messages kept for a client that is slow or away (default: %(default)s)",
    )
    group.add_argument(
        "--on-duplicate",
        choices=("replace", "reject"),
        default="replace",
        help="what to do when a second connection with the same id comes without resume=true: replace the "
        "first, or reject the second (default: %(default)s)",
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a whole number from 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers from 1 to 16")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 or more")
    return seconds


def _seconds_or_off(text: str) -> float | None:
    return None if text == "off" else _seconds(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages from 1 to 999999")
    return int(text)


def _version() -> str:
    try:
        return importlib.metadata.version("resumehub")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed: run from a source tree)"


def _print_client(types: bool) -> int:
    name = "resumehub.d.ts" if types else "resumehub.js"
    text = importlib.resources.files("resumehub").joinpath("static", name).read_text("utf-8")
    # In the file's own encoding, not in that of the terminal or the redirection.
    sys.stdout.buffer.write(text.encode("utf-8"))
    return EXIT_OK


def _serve(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for sentence in limits.prepare(MAX_SESSIONS, BACKLOG):
        log.warning("%s", sentence)
    # First: a wrong value is told as such, also while the port is in use. It starts no thread.
    app = _build(arguments)
    if arguments.workers is not None and importlib.util.find_spec("gunicorn") is None:
        raise _UsageError("--workers needs gunicorn: pip install 'resumehub[gunicorn]'")
    with _listen(arguments.host, arguments.port) as listener:
        if arguments.workers is not None:
            _become_gunicorn(arguments, listener)
        return _run(app, listener, arguments.host, arguments.verbose)


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket here: Werkzeug would print lines of its own and exit with 1."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise _UsageError(f"--host {host!r} is not an address of this machine") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _UsageError(_why_not_bound(error, host, port)) from None
    return listener


def _why_not_bound(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; choose another with --port, or --port 0 for a free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host!r} is not an address of this machine"
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; choose one from 1024 on with --port"
    return f"can't listen on {host} port {port}: {error.strerror or error}"


def _build(arguments: argparse.Namespace) -> DemoApp:
    from resumehub.demo import create_app

    try:
        return create_app(**_hub_options(arguments), allowed_hosts=_allowed_hosts(arguments))
    except (ValueError, TypeError) as error:
        # The hub's text names the argument, its value and the allowed range; here the argument is an option.
        text = " ".join(str(error).split())
        for name in ("resume_window", "ping_interval", "write_timeout", "send_buffer"):
            text = text.replace(name, "--" + name.replace("_", "-"))
        raise _UsageError(text) from None


def _hub_options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("resume_window", "ping_interval", "write_timeout", "send_buffer", "on_duplicate")
    return {name: getattr(arguments, name) for name in names}


def _allowed_hosts(arguments: argparse.Namespace) -> list[str]:
    return [*arguments.allow_host, *_own_names(arguments.host)]


def _become_gunicorn(arguments: argparse.Namespace, listener: socket.socket) -> NoReturn:
    """Serve on several workers: from here on this process is gunicorn's, and ends as gunicorn does."""
    from resumehub.demo.workers import plan_workers

    plan = plan_workers(
        arguments.workers,
        listener.fileno(),
        _hub_options(arguments),
        _allowed_hosts(arguments),
        arguments.verbose,
    )
    _say_where(arguments.host, listener.getsockname()[1])
    plan.become_gunicorn()


def _own_names(host: str) -> list[str]:
    """Give the names by which a user can mean this machine, who has asked to be reached at ``host``."""
    if _is_loopback(host):
        return [host]
    name = socket.gethostname()
    return [host, name, f"{name.partition('.')[0]}.local"]


def _run(app: DemoApp, listener: socket.socket, host: str, verbose: bool) -> int:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        """Logs requests only with ``--verbose``: the page polls its timeline twice a second."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if verbose:
                super().log_request(code, size)

    port = listener.getsockname()[1]
    server = make_server(host, port, app, threaded=True, request_handler=Handler, fd=listener.fileno())
    # The signals are blocked before the first thread starts, so that they interrupt no thread; this thread
    # waits for them. A signal handler would run on this thread, and might need a lock that it holds.
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        SystemRuntime().spawn("demo-accept", lambda: server.serve_forever(poll_interval=0.1))
        _say_where(host, port)
        signal.sigwait(signals)
    finally:
        # From here on a signal ends the process at once, in case closing in order hangs.
        _restore_signals(signals, before)
    print("Closing…", flush=True)
    # The hub closes first: a request that comes meanwhile gets a 503, and not a refused connection.
    report = app.close(CLOSE_TIMEOUT)
    server.shutdown()
    return _say_how_it_ended(report)


def _restore_signals(signals: set[signal.Signals], mask: set[signal.Signals | int]) -> None:
    for number in signals:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _say_where(host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    if not _is_loopback(host):
        print(
            f"Warning: {host} can be reached from other machines, and this is a demo: all users who "
            "can open it may join any room. Put nothing private into it.",
            file=sys.stderr,
            flush=True,
        )
        shown = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(shown, shown)
    print(f"resumehub demo: http://{shown}:{port}/  (Ctrl-C to stop)", flush=True)


def _say_how_it_ended(report: Any) -> int:
    if report.complete:
        print("Closed.", flush=True)
        return EXIT_OK
    for name, stack in report.stuck:
        print(f"resumehub serve: thread {name} did not end:{os.linesep}{stack}", file=sys.stderr)
    return EXIT_STUCK


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
