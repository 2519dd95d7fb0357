"""docs/reference/cluster-files.md has every file of the folder and every bound, as the code has them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType

import pytest

from resumehub.cluster import (
    LocalCluster,
    folder,
    greetings,
    link,
    link_codec,
    link_listener,
    link_turns,
    member_links,
)
from resumehub.cluster.folder import Folder
from resumehub.cluster.moves import move_source, move_target
from resumehub.core.cluster import calls, passing, receiving
from resumehub.session import serial_queue

PAGE = (Path(__file__).parents[2] / "docs/reference/cluster-files.md").read_text("utf-8")

BOUNDS = re.findall(r"^\| [^|]+ \(`([A-Z_]+)`\) \| ([\d.,]+)(?: s)? \|", PAGE, re.MULTILINE)

MODULES: tuple[ModuleType, ...] = (
    member_links,
    *(folder, greetings, link, link_codec, link_listener, link_turns),
    *(move_source, move_target, calls, passing, receiving, serial_queue),
)


def number_in(name: str) -> float:
    for module in MODULES:
        if name in vars(module):
            found: float = vars(module)[name]
            return found
    raise AssertionError(f"no module has {name}")


@pytest.mark.contract("F10")
@pytest.mark.parametrize(("name", "said"), BOUNDS)
def test_a_bound_is_that_of_the_code(name: str, said: str) -> None:
    assert float(said.replace(",", "")) == number_in(name)


@pytest.mark.contract("F10")
def test_every_bound_is_on_the_page() -> None:
    """Those that begin with "most", and whatever else limits something."""
    named = {
        name for module in MODULES for name in vars(module) if re.match(r"MOST_|LONGEST_S|\w+_TIMEOUT$", name)
    }
    assert named <= {name for name, _ in BOUNDS}


def test_the_bound_of_what_is_parked_is_that_of_the_option() -> None:
    assert "(`park_bytes`) | 1 GiB |" in PAGE
    assert LocalCluster("/var/lib/chat").park_bytes == 1 << 30


def test_every_file_of_the_folder_is_on_the_page() -> None:
    here = Folder("/")
    files = [here.lock, here.socket, here.new_socket("…"), here.parked, here.parking, here.adopting]
    section = PAGE.split("\n## The files\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ", section, re.MULTILINE)
    assert rows == [os.path.basename(path) for path in files]
