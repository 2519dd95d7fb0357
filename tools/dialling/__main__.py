"""The command: ``tools/clients``. Has each example of docs/clients/ play one story, and keeps what it did.

What an example needs is looked for and never installed. Read next: ``examples.py``, ``story.py``.
"""

from __future__ import annotations

import argparse
import sys

from .examples import EXAMPLES
from .page import RESULTS, faults_of, keep
from .story import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/clients", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="libraries with this word in their name")
    parser.add_argument("--docs", action="store_true", help=f"keep what was seen in {RESULTS.name}")
    parser.add_argument(
        "--python", default=sys.executable, help="the Python that has the libraries; default: this one"
    )
    parser.add_argument(
        "--node-modules", default="tests/js/node_modules", help="the folder of the packages from npm"
    )
    parser.add_argument("--verbose", action="store_true", help="show what each example says")
    arguments = parser.parse_args()
    rows = []
    for example in EXAMPLES:
        if arguments.only not in example.name:
            continue
        place = example.found(arguments.python, arguments.node_modules)
        if place.missing:
            print(f"{example.name}: not played, {place.missing}", flush=True)
            continue
        row = {"client": example.name, "file": example.file, "version": place.version}
        row |= play(place.command, place.folder, place.environment)
        said = row.pop("said")
        print(f"{example.name} ({row['version']}): {row['steps']}", flush=True)
        if arguments.verbose:
            print("\n".join(said))
        rows.append(row)
    if arguments.docs:
        keep(rows)
    faults = [fault for row in rows for fault in faults_of(row)]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
