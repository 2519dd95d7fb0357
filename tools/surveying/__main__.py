"""The command: ``tools/servers``. Asks each server, says what it saw, and keeps it for the page.

Read next: ``servers.py``, which has the list; ``survey.py``.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from pathlib import Path

from .page import RESULTS, faults_of, keep
from .servers import SERVERS
from .survey import survey


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/servers", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="WORD", default="", help="servers with this word in their name")
    parser.add_argument("--docs", action="store_true", help=f"keep what was seen in {RESULTS.name}")
    parser.add_argument("--verbose", action="store_true", help="show the log of each server")
    arguments = parser.parse_args()
    python = f"Python {platform.python_version()}, {platform.system()}"
    rows = []
    for server in SERVERS:
        if arguments.only not in server.name:
            continue
        with tempfile.TemporaryDirectory(prefix="resumehub-servers-") as folder:
            Path(folder).chmod(0o755)  # Apache's processes are another user's
            row = {**survey(server, Path(folder)), "python": python}
        log = row.pop("log")
        what = (
            row.get("skipped") or f"a WebSocket gets {row['dial']['status']}, a session is {row['session']}"
        )
        print(f"{server.name} ({server.version}): {what}", flush=True)
        if arguments.verbose or "skipped" in row:
            print(log, file=sys.stderr)
        rows.append(row)
    if arguments.docs:
        keep(rows)
    faults = [fault for row in rows for fault in faults_of(row)]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
