"""Commands for clusters: ``hub`` holds a hub in a process of its own, ``cluster`` looks, ``drain`` drains.

``hub`` imports the application and takes part with its hub; it serves no HTTP. SIGTERM or Ctrl-C moves the
hub to a worker, or parks it. ``cluster`` asks the process that holds the hub how it is, and says what lies in
the folder. ``drain`` and ``undrain`` give that process an order. An argument that can't be used gives one
line on stderr and exit code 2. Called by ``cli.py`` on the main thread. Read next: ``cluster/member.py``.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from resumehub.clock import now
from resumehub.cluster.asking import ask
from resumehub.cluster.folder import Folder, open_folder
from resumehub.cluster.local import LocalCluster
from resumehub.cluster.publisher import Publisher
from resumehub.cluster.record_lock import HubSign, RecordLock
from resumehub.errors import ClusterError, ResumeHubError
from resumehub.hub import Hub
from resumehub.runtime.system import SystemRuntime

_PATIENCE: Final = 2.0
_DRAIN: Final = 25.0
_QUIET: Final = 3.0
# Seconds without a sign of life, of which there is one a second, that mean something.


class CommandError(Exception):
    """A command can't be carried out; the text says why, in one line."""


def add_commands(commands: Any) -> None:
    """The commands, with their arguments."""
    hub = commands.add_parser(
        "hub",
        help="hold the hub of an application in a process of its own",
        description="Hold the hub of an application in a process of its own: its workers pass their sockets "
        "to it, and keep their threads for HTTP. The hub moves here, live, and back when this process is "
        "told to stop.",
    )
    hub.add_argument(
        "hub",
        metavar="MODULE:NAME",
        help="where the Hub is, as gunicorn takes it: chat.app:hub; its cluster= says which folder",
    )
    hub.add_argument(
        "--folder", metavar="PATH", help="must be the folder of the Hub's cluster=; a check, for scripts"
    )
    cluster = commands.add_parser(
        "cluster",
        help="say who holds the hub of a folder, and what is in it",
        description="Say which process holds the hub of a cluster's folder, which others have a link to it, "
        "how many sessions there are, and what is parked.",
    )
    cluster.add_argument("folder", metavar="FOLDER", help="the cluster's folder: /var/lib/chat")
    drain = commands.add_parser(
        "drain",
        help="have the hub of a folder keep its sessions and take no new one",
        description="Have the hub of a cluster's folder keep its sessions and take no new one: newcomers get "
        "503, and clients that come back are let in. For the hook before a stop.",
    )
    undrain = commands.add_parser(
        "undrain", help="undo drain", description="Have the hub of a folder take new sessions again."
    )
    for command in (drain, undrain):
        command.add_argument("folder", metavar="FOLDER", help="the cluster's folder: /var/lib/chat")
        command.add_argument(
            "--name", metavar="NAME", help="the name= of the application's LocalCluster, if it has one"
        )
    drain.add_argument(
        "--refuse-resumes", action="store_true", help="let clients that come back wait as well"
    )


def run_command(arguments: argparse.Namespace) -> int:
    """Run one of the commands; return the exit code. Raises: CommandError."""
    if arguments.command == "hub":
        return hold_hub(arguments.hub, arguments.folder)
    if arguments.command == "drain":
        resumes = not arguments.refuse_resumes
        return order(arguments, lambda publisher: publisher.drain(accept_resumes=resumes))
    if arguments.command == "undrain":
        return order(arguments, Publisher.undrain)
    return look_at_cluster(arguments.folder)


# -- drain, undrain -------------------------------------------------------------------------


def order(arguments: argparse.Namespace, give: Callable[[Publisher], int]) -> int:
    """Give the hub of a folder an order, and say how many sessions it has. Raises: CommandError."""
    if not os.path.isdir(arguments.folder):
        raise CommandError(f"there is no folder {arguments.folder}")
    with Publisher(LocalCluster(arguments.folder, name=arguments.name)) as publisher:
        try:
            left = give(publisher)
        except ResumeHubError as error:
            raise CommandError(str(error)) from None
    print(f"{arguments.command}ed; {left} sessions are here")
    return 0


# -- hub ------------------------------------------------------------------------------------


def hold_hub(where: str, folder: str | None) -> int:
    """Take part with the hub at ``module:name`` until a signal comes. Raises: CommandError."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    hub = find_hub(where)
    member = hub.member
    if member is None:
        raise CommandError(
            f"the Hub at {where} has no cluster=: give it one that all processes share, such as "
            'Hub(connect, cluster=LocalCluster("/var/lib/chat"))'
        )
    if folder is not None and os.path.realpath(folder) != os.path.realpath(member.cluster.folder):
        raise CommandError(
            f"--folder {folder} is not the folder of the Hub at {where}, which is {member.cluster.folder}: "
            "give both the same"
        )
    member.kind_name = "hub"
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        hub.start()
    except (ResumeHubError, RuntimeError, OSError) as error:
        raise CommandError(str(error)) from None
    signal.sigwait(signals)
    # From here on a signal ends the process at once, in case draining hangs.
    for number in signals:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    report = hub.drain(_DRAIN)
    print(
        f"moved {report.moved}, of which carried {report.carried}; parked {report.parked}, "
        f"ended {report.ended}, left {report.left}",
        flush=True,
    )
    return 0 if hub.close(_PATIENCE).complete else 1


def find_hub(where: str) -> Hub:
    """The Hub at ``module:name``; that of an extension or an application that has one as ``hub``.

    Raises: CommandError.
    """
    module_name, found, name = where.partition(":")
    if not (module_name and found and name):
        raise CommandError(f"{where!r} does not say where a Hub is: write MODULE:NAME, such as chat.app:hub")
    if os.getcwd() not in sys.path:  # as gunicorn does
        sys.path.insert(0, os.getcwd())
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"there is no module {error.name} for {where!r}, seen from {os.getcwd()}"
        ) from None
    for part in name.split("."):
        if not hasattr(value, part):
            raise CommandError(f"{module_name} has no {name}")
        value = getattr(value, part)
    if not isinstance(value, Hub):
        value = getattr(value, "hub", value)
    if not isinstance(value, Hub):
        raise CommandError(f"{where} is a {type(value).__name__}, and no Hub")
    return value


# -- cluster --------------------------------------------------------------------------------


def look_at_cluster(path: str) -> int:
    """Print how the cluster of a folder is. Raises: CommandError."""
    if not os.path.isdir(path):
        raise CommandError(f"there is no folder {path}: the first process of a cluster makes it")
    try:
        folder = open_folder(path)
        lines = [f"folder   {folder.path}", *_of_the_hub(folder), *_of_what_is_parked(folder)]
    except ClusterError as error:
        raise CommandError(str(error)) from None
    print("\n".join(lines), flush=True)
    return 0


def _of_the_hub(folder: Folder) -> list[str]:
    runtime = SystemRuntime()
    lock = RecordLock(folder, runtime)
    try:
        holder, sign = lock.holder(), lock.sign()
    finally:
        lock.close()
    if holder is None:
        return ["hub      no process holds it"]
    begun = now()
    told = ask(folder, runtime, _PATIENCE)
    if told is None:
        return [_silent(holder, sign, now() - begun)]
    workers = [f"{kind} {pid}" for pid, kind in zip(told.pids, told.kinds, strict=True)]
    connected = told.sessions - told.suspended
    return [
        f"hub      process {told.pid} ({told.kind}) has held it for {told.held_for:.0f} s",
        *_stuck(sign),
        f"name     {told.application or 'none'}",
        f"sessions {told.sessions}: {connected} connected, {told.suspended} suspended; in {told.rooms} rooms",
        f"links    {len(workers)}" + (f": {', '.join(workers)}" if workers else ""),
    ]


def _silent(holder: int, sign: HubSign | None, waited: float) -> str:
    """The line of a process that holds the hub and does not answer."""
    if sign is None:  # it has just gone, or is of a release that gives no sign
        return f"hub      process {holder} holds it, and has not answered for {waited:.1f} s"
    silent = sign.silent_for
    since = f"has given no sign of life for {silent:.0f} s: it is stopped, or busy without a pause"
    if silent < _QUIET:
        since = f"lives, and has not answered for {waited:.1f} s: it is busy, moves its hub, or takes one"
    return f"hub      process {holder} has held it for {sign.held_for:.0f} s, and {since}"


def _stuck(sign: HubSign | None) -> list[str]:
    """A line where the process answers, and its hub thread does not run."""
    if sign is None or sign.silent_for < _QUIET:
        return []
    return [f"         but its hub thread has not run for {sign.silent_for:.0f} s: no client can come or go"]


def _of_what_is_parked(folder: Folder) -> list[str]:
    found = []
    for name, what in ((folder.parked, "parked"), (folder.parking, "parking"), (folder.adopting, "adopting")):
        try:
            size = os.stat(name).st_size
        except FileNotFoundError:
            continue
        found.append(f"{what:<8} {size} bytes in {name}")
    return found or ["parked   nothing"]
