"""Uses the extra ``gunicorn``: the demo on two workers, by the command that pip has installed."""

from __future__ import annotations

import subprocess
import sys
import urllib.request

PATIENCE = 20.0


def main() -> None:
    command = [f"{sys.prefix}/bin/resumehub", "serve", "--workers", "2", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        assert demo.stdout is not None
        try:
            url = next(word for line in demo.stdout for word in line.split() if word.startswith("http://"))
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                assert b"<!doctype html>" in response.read().lower()
        finally:
            demo.terminate()
            said = demo.stdout.read()
    assert demo.returncode == 0, said
    print("resumehub serve --workers 2: its page, and an end in order")


if __name__ == "__main__":
    main()
