"""``tools/test --oldest``: which versions it takes, and that they are what servers and tests then import."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("_oldest", Path(__file__).parents[1] / "tools" / "_oldest.py")
assert spec is not None
assert spec.loader is not None
_oldest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_oldest)
is_version, pins = _oldest.is_version, _oldest.pins

SETUP = """
[options]
install_requires =
    werkzeug>=3.0
    simple-websocket>=1.1,<2
[options.extras_require]
flask =
    flask>=3.0
gunicorn =
    gunicorn{gunicorn}
prometheus =
    prometheus-client>=0.20
"""


def test_the_oldest_is_the_lower_bound(tmp_path: Path) -> None:
    setup = tmp_path / "setup.cfg"
    setup.write_text(SETUP.format(gunicorn=">=22"), "utf-8")
    assert pins(setup) == {
        "werkzeug": "3.0",
        "simple-websocket": "1.1",
        "flask": "3.0",
        "gunicorn": "22",
        "prometheus-client": "0.20",
    }


@pytest.mark.parametrize("requirement", ["", "<30", "~=22.0"])
def test_a_package_without_a_lower_bound_is_named(tmp_path: Path, requirement: str) -> None:
    setup = tmp_path / "setup.cfg"
    setup.write_text(SETUP.format(gunicorn=requirement), "utf-8")
    with pytest.raises(ValueError, match=f"names no oldest version in 'gunicorn{requirement}'"):
        pins(setup)


@pytest.mark.parametrize(
    ("there", "wanted", "same"),
    [("3.0.0", "3.0", True), ("22.0.0", "22", True), ("3.0.1", "3.0", False), ("30.0", "3.0", False)],
)
def test_a_version_may_be_written_shorter(there: str, wanted: str, same: bool) -> None:
    assert is_version(there, wanted) is same


def test_what_stands_first_in_the_path_hides_what_is_installed(tmp_path: Path) -> None:
    """As with the folder of ``tools/test --oldest``; in a process that a test starts, too."""
    (tmp_path / "wsproto").mkdir()
    (tmp_path / "wsproto" / "__init__.py").write_text("old = True\n", "utf-8")
    command = [sys.executable, "-c", "import wsproto; print(wsproto.old)"]
    run = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == ("True\n", "")
