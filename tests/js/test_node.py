"""The JavaScript client, under node's own test runner: its decisions step by step, real sockets, its types.

The tests are in JavaScript, beside this file; here they are only started, so that one command runs all.
``tools/test`` installs what they need (``npm ci`` in this folder).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STATIC = ROOT / "resumehub" / "static"
OLDEST = 20
"""The node whose test runner, WebCrypto and ES modules the tests use."""


@pytest.fixture(scope="module")
def node() -> str:
    """The path of node, with the modules that the tests import."""
    found = shutil.which("node")
    if found is None:
        pytest.skip(
            f"needs node {OLDEST} or newer and npm on the PATH: run tools/test, or install nodejs and npm"
        )
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < OLDEST:
        pytest.skip(f"needs node {OLDEST} or newer, and this one is {version.strip()}")
    if not (HERE / "node_modules" / "ws").is_dir():
        pytest.skip("needs the modules of tests/js/package-lock.json: run tools/test, or npm ci in tests/js")
    return found


def own_websocket(node: str) -> list[str]:
    """What it takes to have Node's own ``WebSocket``."""
    found = subprocess.run([node, "-p", "typeof WebSocket"], capture_output=True, text=True, check=True)
    return [] if found.stdout.strip() == "function" else ["--experimental-websocket"]


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("*.test.js")))
def test_the_tests_in_javascript_pass(node: str, file: str) -> None:
    run(node, *own_websocket(node), "--test", file)


def test_the_types_say_what_users_may_write(node: str) -> None:
    """types.ts holds good uses, and bad ones that must be refused."""
    run(node, "node_modules/typescript/bin/tsc", "--project", ".")


@pytest.mark.parametrize("page", ["howto/javascript-client.md", "howto/requests.md", "tour/quickstart.md"])
def test_the_javascript_in_the_documentation_can_be_parsed(node: str, page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```js\n(.*?)^```", (ROOT / "docs" / page).read_text("utf-8"), re.M | re.S)
    assert blocks
    for number, block in enumerate(blocks):
        module = tmp_path / f"{number}.mjs"
        module.write_text(block, "utf-8")
        run(node, "--check", str(module))


def test_the_types_and_the_page_name_what_the_module_has() -> None:
    """Both are written by hand: no option, counter or callback is forgotten in them."""
    module, types = ((STATIC / name).read_text("utf-8") for name in ("resumehub.js", "resumehub.d.ts"))
    page = (ROOT / "docs" / "howto" / "javascript-client.md").read_text("utf-8")
    defaults = module.partition("const DEFAULTS = {")[2].partition("\n};")[0]
    counters = module.partition("stats = {")[2].partition("};")[0]
    callbacks = {
        "on" + name[0].upper() + name[1:] for name in re.findall(r'(?:#tell\(|kind: )"(\w+)"', module)
    }

    for name in [*re.findall(r"^  (\w+):", defaults, re.M), *re.findall(r"(\w+): 0", counters), *callbacks]:
        assert re.search(rf"\b{name}\??[:(]", types), f"{name} is not in resumehub.d.ts"
        assert re.search(rf"`{name}`", page), f"{name} is not in docs/howto/javascript-client.md"
