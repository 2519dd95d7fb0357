"""Uses the extra ``docs``: the site of the repository that this file is in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--quiet",
            "--config-file",
            str(ROOT / "mkdocs.yml"),
        ]
        subprocess.run(
            [*command, "--site-dir", folder], check=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        )
        assert "# resumehub" in Path(folder, "llms.txt").read_text(encoding="utf-8")
        pages = len([*Path(folder).rglob("*.html")])
    print(f"the documentation as a site of {pages} pages")


if __name__ == "__main__":
    main()
