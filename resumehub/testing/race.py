"""The command behind ``tools/race``: a recorded trace as sentences, a diagram, a picture, or a verdict.

    tools/race incident.jsonl                 the trace as sentences, and the verdict
    tools/race incident.jsonl --svg out.svg   a picture of it
    tools/race incident.jsonl --test test_incident.py     the same as a test that plays it again

Exit status: 0 if the trace keeps every invariant, 1 if it breaks one, 2 for unusable arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .drawing import html, svg
from .replay import script
from .traces import load, mermaid, prose, verify


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Prints to standard output; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="tools/race", description="Read, check and draw the trace of a hub."
    )
    parser.add_argument("trace", help="a file of JSON lines written by Trace.write, or - for standard input")
    parser.add_argument(
        "--mermaid", metavar="FILE", help="write a Mermaid sequence diagram (- for standard output)"
    )
    parser.add_argument("--svg", metavar="FILE", help="write a picture of swimlanes")
    parser.add_argument("--html", metavar="FILE", help="write the same as a page of its own")
    parser.add_argument("--test", metavar="FILE", help="write a test that plays the same again")
    parser.add_argument("--title", default="", help="what stands above the picture")
    parser.add_argument("--quiet", action="store_true", help="no sentences, only the verdict")
    given = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if given.trace == "-" else Path(given.trace).read_text(encoding="utf-8")
        records = load(text.splitlines())
    except (OSError, ValueError) as error:
        parser.error(f"{given.trace}: {error}")
    drawings = (
        (given.mermaid, mermaid(records)),
        (given.svg, svg(records, given.title)),
        (given.html, html(records, given.title)),
        (given.test, script(records)),
    )
    for path, drawing in drawings:
        if path == "-":
            sys.stdout.write(drawing)
        elif path:
            Path(path).write_text(drawing, encoding="utf-8")
    if not given.quiet:
        sys.stdout.writelines(f"{line}\n" for line in prose(records))
    broken = verify(records)
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    print(f"{len(records)} records, {len(broken) or 'no'} broken invariant{'s' * (len(broken) != 1)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
