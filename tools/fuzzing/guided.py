"""A process that fuzzes one target, guided by the coverage. Started by ``running.py``, with JSON as its
argument.

``atheris`` changes the code of the modules as they are imported, so that it counts branches; that is why the
package is imported in here, behind its set-up. Read next: ``running.py``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import atheris


def main() -> None:
    how: dict[str, Any] = json.loads(sys.argv[1])
    with atheris.instrument_imports(include=["resumehub", "wsproto"]):
        from .running import LONGEST, Collector, told
        from .targets import load

        target = load(how["name"])
    collector = Collector(target, Path(how["folder"]))
    target.run(b"")  # what is made once is no coverage of an input
    began = monotonic()

    def tell() -> None:
        collector.outcome.seconds = monotonic() - began
        print(told(collector.outcome), flush=True)

    def one(data: bytes) -> None:
        collector.run(data)
        outcome = collector.outcome
        if outcome.runs >= how["runs"] or collector.full or monotonic() - began > how["seconds"]:
            tell()
            atheris_ends()

    corpus = Path(how["scratch"]) / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed)
    options = [
        f"-seed={how['seed'] or 1}",
        f"-max_len={LONGEST}",
        f"-runs={how['runs']}",
        f"-artifact_prefix={how['scratch']}/",
        "-timeout=60",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    try:
        atheris.Fuzz()
    finally:
        tell()


def atheris_ends() -> None:
    """libFuzzer has no way to stop from inside, so the process ends; all that counts has been told."""
    raise SystemExit(0)


if __name__ == "__main__":
    main()
