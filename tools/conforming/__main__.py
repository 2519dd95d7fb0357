"""The command: ``tools/conformance``. Plays Autobahn's cases on each server, and keeps what they showed.

Read next: ``run.py``; ``page.py``, for what becomes of a row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .groups import GROUPS
from .page import RESULTS, faults_of, keep, summary
from .run import SERVERS, NoSuite, play, suite_version


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/conformance", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--wstest", default="wstest", metavar="PATH", help="Autobahn's program; it needs Python 2.7"
    )
    parser.add_argument("--only", metavar="WORD", default="", help="servers with this word in their name")
    parser.add_argument(
        "--cases",
        nargs="+",
        default=[f"{group.number}.*" for group in GROUPS],
        metavar="CASES",
        help="numbers, as 1.* or 7.3.2,7.3.3; each argument is a run of the suite; all cases",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="for each server; a run that is cut off shows nothing"
    )
    parser.add_argument("--docs", action="store_true", help=f"keep what was seen in {RESULTS.name}")
    arguments = parser.parse_args()
    try:
        suite_version(arguments.wstest)
    except NoSuite as problem:
        print(problem, file=sys.stderr)
        return 2
    faults: list[str] = []
    for server in SERVERS:
        if arguments.only not in server:
            continue
        with tempfile.TemporaryDirectory(prefix="resumehub-conformance-") as folder:
            row = play(server, arguments.wstest, arguments.cases, 60 * arguments.minutes, Path(folder))
        print(f"{server} ({row['version']}): {summary(row['cases'].values())}", flush=True)
        faults += faults_of(row)
        if arguments.docs:
            keep(row)
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
