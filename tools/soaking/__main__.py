"""The command: ``tools/soak``. Runs one soak or two, and ends with 1 if a promise was broken.

Read next: ``run.py``; ``cluster_run.py`` for ``--cluster``.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from dataclasses import replace
from typing import Any

from .cluster_faults import Fault
from .cluster_report import cluster_failures, tell_cluster
from .cluster_run import ClusterSettings, soak_cluster
from .report import failures, tell
from .run import SERVERS, Settings, soak


def parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="tools/soak", description="Many clients, a real server, and a network that breaks all the time."
    )
    parser.add_argument("--mode", choices=["v1", "counting", "plain", "both"], default="v1")
    parser.add_argument("--clients", type=int, default=defaults.clients)
    parser.add_argument("--cycles", type=int, default=defaults.cycles, help="faults for each client")
    parser.add_argument("--seconds", type=float, help="end the storm after so long, even before")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument(
        "--pace", type=float, default=defaults.pace, help="seconds between two messages of a client"
    )
    parser.add_argument(
        "--server", choices=sorted({*SERVERS, "sync"}), default=defaults.server, help="sync: with --cluster"
    )
    cluster = parser.add_argument_group("a cluster: several workers, whose processes fail, not the network")
    cluster.add_argument("--cluster", action="store_true")
    cluster.add_argument("--minutes", type=float, default=ClusterSettings.minutes)
    cluster.add_argument("--workers", type=int, default=ClusterSettings.workers)
    cluster.add_argument("--faults", type=int, help="end behind so many faults")
    cluster.add_argument("--only", metavar="WORD", default="", help="faults with this word in their name")
    return parser


def main() -> int:
    arguments = vars(parser().parse_args())
    mode = arguments.pop("mode")
    of_cluster = {name: arguments.pop(name) for name in ("minutes", "workers", "faults", "only")}
    _allow_many_sockets()
    # As Ctrl-C: the server has to be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if arguments.pop("cluster"):
        return _soak_cluster(arguments, of_cluster)
    failed = False
    for one in ("v1", "plain") if mode == "both" else (mode,):
        outcome = soak(replace(Settings(**arguments), mode=one), lambda text: print(text, file=sys.stderr))
        print(tell(outcome), end="\n\n", flush=True)
        failed = failed or bool(failures(outcome))
    return 1 if failed else 0


def _soak_cluster(arguments: dict[str, Any], of_cluster: dict[str, Any]) -> int:
    common = {name: arguments[name] for name in ("seed", "server", "pace")}
    word = of_cluster.pop("only")
    only = tuple(fault for fault in Fault if word in fault.value) if word else ()
    ours = arguments["clients"] * 2 // 3
    theirs = arguments["clients"] - ours
    settings = ClusterSettings(**common, **of_cluster, ours=ours, theirs=theirs, only=only)
    outcome = soak_cluster(settings, lambda text: print(text, file=sys.stderr, flush=True))
    print(tell_cluster(outcome), flush=True)
    return 1 if cluster_failures(outcome) else 0


def _allow_many_sockets() -> None:
    """Each client takes about six descriptors of this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
