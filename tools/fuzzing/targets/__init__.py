"""What is fuzzed: one module for each target, with what must hold of any input.

A target's ``run`` takes the fuzzer's bytes, makes an input of them (``../choices.py``), gives it to the
package's own code, and raises where something does not hold that must. An AssertionError says which; any
other exception is one that the code does not document. ``SEEDS`` are bytes to begin with. Read next:
``frames.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

NAMES: Final = ("handshake", "frames", "deflate", "control", "snapshots", "link")


@dataclass(frozen=True)
class Target:
    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


def load(name: str) -> Target:
    """The target of that name. It is imported here: the fuzzer prepares for the coverage before."""
    module = importlib.import_module(f"{__name__}.{name}")
    return Target(name, module.run, module.SEEDS)
