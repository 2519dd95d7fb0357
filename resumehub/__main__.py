"""``python -m resumehub``: see ``cli.py``."""

from __future__ import annotations

import sys

from resumehub.cli import main

if __name__ == "__main__":
    sys.exit(main())
