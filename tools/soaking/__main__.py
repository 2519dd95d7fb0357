"""The command: ``tools/soak``. Runs one soak or two, and ends with 1 if a promise was broken.

Read next: ``run.py``; ``endure_run.py`` for ``--minutes``, ``cluster_run.py`` for ``--cluster``,
``reload_run.py`` for ``--reloads``.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
from dataclasses import replace
from typing import Any

from .cluster_report import cluster_failures, tell_cluster
from .cluster_run import ClusterSettings, soak_cluster
from .endure_report import endure_failures, tell_endurance, write_samples
from .endure_run import EndureSettings, endure
from .reload_report import reload_failures, tell_reloads
from .reload_run import WAYS, ReloadSettings, soak_reloads
from .report import failures, tell
from .run import SERVERS, Settings, soak

_OF_CLUSTER = ("minutes", "workers", "faults", "only", "reloads", "way", "preload", "without")


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
    parser.add_argument(
        "--minutes",
        type=float,
        help="without --cluster: an endurance run, which plays every feature again and again for so long, "
        "and looks whether anything grows; with --cluster: begin no fault after so long",
    )
    parser.add_argument("--samples", metavar="FILE", help="of an endurance run: write a line of CSV a second")
    parser.add_argument(
        "--only",
        metavar="WORD",
        default="",
        help="with --minutes or --cluster: what has this word in its name",
    )
    cluster = parser.add_argument_group("a cluster: several workers, whose processes fail, not the network")
    cluster.add_argument("--cluster", action="store_true")
    cluster.add_argument("--workers", type=int, default=ClusterSettings.workers)
    cluster.add_argument("--faults", type=int, help="end behind so many faults")
    cluster.add_argument(
        "--reloads", type=int, help="no faults, but so many reloads, which nobody may notice"
    )
    cluster.add_argument("--way", choices=sorted(WAYS), default="all", help="of reloading")
    cluster.add_argument("--preload", action="store_true", help="with --reloads")
    cluster.add_argument(
        "--without", choices=["node", "page"], action="append", default=[], help="with --reloads"
    )
    return parser


def main() -> int:
    arguments = vars(parser().parse_args())
    mode = arguments.pop("mode")
    of_cluster = {name: arguments.pop(name) for name in _OF_CLUSTER}
    samples = arguments.pop("samples")
    _allow_many_sockets()
    # As Ctrl-C: the server has to be stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if arguments.pop("cluster"):
        if of_cluster["minutes"] is None:
            of_cluster["minutes"] = ClusterSettings.minutes
        return _soak_cluster(arguments, of_cluster)
    if of_cluster["minutes"] is not None:
        told = {name: of_cluster[name] for name in ("minutes", "only")}
        return _endure(EndureSettings(seed=arguments["seed"], server=arguments["server"], **told), samples)
    failed = False
    for one in ("v1", "plain") if mode == "both" else (mode,):
        outcome = soak(replace(Settings(**arguments), mode=one), lambda text: print(text, file=sys.stderr))
        print(tell(outcome), end="\n\n", flush=True)
        failed = failed or bool(failures(outcome))
    return 1 if failed else 0


def _endure(settings: EndureSettings, samples: str | None) -> int:
    outcome = endure(settings, lambda text: print(text, file=sys.stderr, flush=True))
    if samples is not None:
        with open(samples, "w", newline="") as file:
            write_samples(outcome.samples, file)
    print(tell_endurance(outcome), flush=True)
    return 1 if endure_failures(outcome) else 0


def _soak_cluster(arguments: dict[str, Any], of_cluster: dict[str, Any]) -> int:
    common = {name: arguments[name] for name in ("server", "pace")}
    without, word, reloads = (of_cluster.pop(name) for name in ("without", "only", "reloads"))
    way, preload, faults = (of_cluster.pop(name) for name in ("way", "preload", "faults"))

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if reloads is not None:
        kinds = {name: name not in without for name in ("node", "page")}
        clients = arguments["clients"]
        told = ReloadSettings(reloads, clients, way, preload=preload, **kinds, **common, **of_cluster)
        done = soak_reloads(told, say)
        print(tell_reloads(done), flush=True)
        return 1 if reload_failures(done) else 0
    ours = arguments["clients"] * 2 // 3
    theirs = arguments["clients"] - ours
    settings = ClusterSettings(
        **common, **of_cluster, seed=arguments["seed"], faults=faults, ours=ours, theirs=theirs, word=word
    )
    outcome = soak_cluster(settings, say)
    print(tell_cluster(outcome), flush=True)
    return 1 if cluster_failures(outcome) else 0


def _allow_many_sockets() -> None:
    """Each client takes about six descriptors of this process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
