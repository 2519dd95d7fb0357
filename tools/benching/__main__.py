"""The command: ``tools/bench``. Reads the arguments, runs, prints the table, writes the JSON.

from . import cluster_report, clustered, fairness, micro, page
"""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from pathlib import Path

from . import cluster_report, clustered, fairness, micro, page
from .contenders import CONTENDERS
from .process import prepare_machine
from .report import tell
from .run import dumps, run
from .scenarios import SCENARIOS
from .stage import QUICK, Sizes


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/bench", description="How fast, beside others, in the same run."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="smaller sizes, two rounds, two to three minutes")
    what.add_argument(
        "--micro", action="store_true", help="the core alone, in this process; before and after a change"
    )
    what.add_argument(
        "--cluster",
        action="store_true",
        help="a cluster of one host: one worker with it against one without; another worker beside the hub's "
        "own; members of two workers beside python-socketio with Redis; views that compute; a move; one "
        "table with what is asked and a verdict; seven minutes, twelve at most",
    )
    what.add_argument(
        "--fairness",
        action="store_true",
        help="what a quiet client notices of four that flood, by kind of flood (--only WORD,…); two minutes",
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--only", metavar="SCENARIO,…", help=", ".join(SCENARIOS))
    parser.add_argument("--servers", metavar="WORD,…", help="those whose name has one of these words in it")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write the results as JSON")
    parser.add_argument("--against", metavar="FILE", type=Path, help="with --micro: compare with these")
    parser.add_argument(
        "--docs", action="store_true", help=f"write {page.RESULTS.name}, of which tools/docs draws the page"
    )
    return parser


def main() -> int:
    # Told to stop, it stops its servers as well: they are in sessions of their own.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments = parser().parse_args()
    if arguments.micro:
        prepare_machine()
        return micro.main(arguments.save, arguments.against)
    if arguments.fairness:
        words = arguments.only.split(",") if arguments.only else ()
        rounds, seconds = arguments.rounds or 3, arguments.seconds or 3.0
        fairness.main(rounds, seconds, words, lambda text: print(text, flush=True))
        return 0
    if arguments.cluster:
        only = arguments.only.split(",") if arguments.only else ()
        known = (*SCENARIOS, *clustered.OF_TWO)
        if unknown := [word for word in only if word not in known]:
            parser().error(f"--only: {', '.join(unknown)}: with --cluster there are {', '.join(known)}")
        results = clustered.main(
            arguments.rounds, arguments.seconds, only, lambda text: print(text, file=sys.stderr, flush=True)
        )
        print(cluster_report.tell(results))
        if arguments.save is not None:
            arguments.save.write_text(dumps(results), encoding="utf-8")
        return 0
    changes = {name: getattr(arguments, name) for name in ("rounds", "seconds")}
    sizes = replace(
        QUICK if arguments.quick else Sizes(),
        **{name: value for name, value in changes.items() if value is not None},
    )
    words = (arguments.servers or "").split(",")
    only = arguments.only.split(",") if arguments.only else tuple(SCENARIOS)
    if unknown := [word for word in only if word not in SCENARIOS]:
        parser().error(f"--only: {', '.join(unknown)}: there are {', '.join(SCENARIOS)}")
    results = run(
        sizes,
        [one for one in CONTENDERS if any(word in one.name for word in words)],
        only,
        one_visit=arguments.quick,
        tell=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(tell(results))
    for path in [arguments.save, page.RESULTS if arguments.docs else None]:
        if path is not None:
            path.write_text(dumps(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
