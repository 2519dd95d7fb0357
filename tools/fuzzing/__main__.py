"""The command: ``tools/fuzz``. Runs the targets one after the other, says what it found, and saves it.

Ends with 1 if it has found anything. Read next: ``running.py``; ``targets/__init__.py``; docs/howto/fuzz.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .findings import FOUND, fault_of, read
from .running import at_random, can_be_guided, guided
from .targets import NAMES, load

NO_END = 1 << 31


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--target", choices=(*NAMES, "all"), default="all")
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="of each target; 30, if --runs is not given"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="inputs of each target")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, other inputs")
    parser.add_argument(
        "--save", type=Path, default=FOUND, metavar="DIR", help="where found inputs are saved"
    )
    parser.add_argument("--plain", action="store_true", help="at random, also where it could be guided")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run these saved inputs only")
    arguments = parser.parse_args()
    if arguments.replay:
        return replay(arguments.replay)
    seconds = arguments.seconds or (30.0 if arguments.runs is None else 3600.0)
    run = guided if can_be_guided() and not arguments.plain else at_random
    outcomes = []
    for name in NAMES if arguments.target == "all" else [arguments.target]:
        outcomes.append(run(name, arguments.runs or NO_END, seconds, arguments.seed, arguments.save))
        print(outcomes[-1], flush=True)
    return 1 if any(outcome.found for outcome in outcomes) else 0


def replay(paths: list[Path]) -> int:
    failed = 0
    for path in paths:
        name, data = read(path)
        fault = fault_of(load(name), data)
        print(f"{path}: {fault[1] if fault else 'everything holds'}")
        failed += fault is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
