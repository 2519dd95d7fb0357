"""Who may import whom, which names have one home, and the shape of the files.

The tables at the top are the architecture; the tests below read the source with ``ast`` and
hold it. A new module must be entered in ``LAYERS``: the place where it belongs is a decision,
so there is no default. A module that does not exist (yet) does no harm.
"""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest

from tests.package_source import (
    PACKAGE,
    classes_in,
    file_of,
    folder_of,
    imports,
    lines_of,
    listed,
    own_imports,
    reached_into,
    sources,
)

# -- the tables -----------------------------------------------------------------------
# A module is named by its path below resumehub/, with dots; a name in a table also stands
# for all that is inside it ("core" for "core.machine"), and may have a *.

LAYERS = {
    "values": [
        "errors",
        "message",
        "admission",
        "codes",
        "reasons",
        "json_rules",
        "json_codec",
        "undecodable",
        "protocol",
    ],
    "contracts": [
        "codec",
        "config",
        "handlers",
        "limits",
        "option_checks",
        "clock",
        "metrics",
        "metrics_methods",
        "metrics_sums",
        "stats",
        "health",
        "runtime",
        "spans",
        "trace",
    ],
    "core": ["core"],
    "transport": ["transport"],
    "outgoing": ["outgoing"],
    "session": ["session"],
    "incoming": ["incoming"],
    "server": ["server"],
    "wsgi": ["wsgi"],
    "cluster": ["cluster"],
    "hub": ["hub", "hub_life_cycle", "hooks", "arguments", "router", "payloads", "payload_types"],
    "inspector": ["inspector"],
    "root": ["__init__"],
    "edges": ["client", "cli", "cluster_commands", "demo", "__main__"],
    "testing": ["testing"],
    "contrib": ["contrib"],
}
"""From the bottom to the top, and each of the package's folders is a layer: a module imports from its own
layer and those above it in this list. The exception is testing, which skips the edges. Only contrib imports
from it, for the helpers that an extension has for its users' tests."""

TESTING_SEES = [layer for layer in LAYERS if layer not in ("edges", "contrib")]

STRANGERS = {
    ("core", "runtime"): "the core starts no thread and takes no lock",
    ("core", "clock"): "the core is told the time",
    ("outgoing.outbox", "core"): "an outbox knows nothing of session states",
    ("outgoing.frame_queue", "core"): "the same",
    ("outgoing.items", "core"): "the same",
    ("client", "core"): "the client shares no decision with the server, only the wire",
    ("client", "hub"): "the same",
    ("client", "wsgi"): "the same",
    ("wsgi", "server"): "the request side asks a SessionLookup, and knows nothing of what runs",
}
"""(importer, imported) → why this import may not be, although its layers would allow it."""

PURE = [
    "core",
    *("client.machine", "client.transport_watch", "client.states", "client.verdicts"),
    *("client.commands", "client.effects", "protocol", "client.outbox", "client.address"),
    *("client.request_deadlines", "client.asked_requests", "client.taken_requests"),
]
"""What decides without a world: all of it can be tried in every order."""

IMPURE = ["threading", "_thread", "socket", "select", "ssl", "time", "logging", "random", "secrets", "queue"]
"""What nothing in them may import."""

HOMES = {
    "time": ["clock"],
    "threading": ["runtime", "testing"],
    "logging": ["runtime.foreign_code", "cli", "cluster_commands", "testing"],
    "_thread": ["runtime", "testing"],
    "queue": ["runtime", "testing"],
    "concurrent": [],
    "multiprocessing": [],
    "asyncio": ["client.aio"],
    "simple_websocket": ["transport", "testing"],
    "wsproto": ["transport", "testing", "client.wire"],
    "werkzeug": ["wsgi", "inspector", "cli", "demo", "testing", "contrib"],
    "flask": ["contrib"],
    "click": ["contrib"],
    "opentelemetry": ["contrib.opentelemetry"],
    "prometheus_client": ["contrib"],
    "redis": ["contrib"],
    "freezegun": ["testing"],
    "pytest": ["testing"],
    "hypothesis": ["testing"],
}
"""Library → the only modules that import it. Any library that is not in Python's own must be
listed. Imports for the type checker alone (``if TYPE_CHECKING:``) are free."""

UNDERSCORES = {
    "sys._current_frames": "documented under this name: the only way to see where a thread is",
}
"""Names with an underscore that a third party documents → why there is no other."""

MOST_LINES = 400
"""Of a file. One that is longer knows two things, and a reader looks for the second one elsewhere."""

BANNED_CALLS = {
    "settimeout": "it changes the socket for both threads, and a timeout cuts a large write short",
    "setdefaulttimeout": "the same, for every socket of the process",
}


def among(module: str, names: list[str]) -> bool:
    """Whether ``module`` is one of ``names`` or inside one of them."""
    return any(fnmatchcase(module, name) or fnmatchcase(module, f"{name}.*") for name in names)


def layer_of(module: str) -> str | None:
    return next((layer for layer, names in LAYERS.items() if among(module, names)), None)


# -- the tests ------------------------------------------------------------------------


def test_every_module_has_a_layer() -> None:
    homeless = [module for module in sources() if layer_of(module) is None]
    assert not homeless, f"enter them in LAYERS: {homeless}"


def test_imports_go_down() -> None:
    """Types included: to know a name is to depend on it."""
    order = list(LAYERS)
    wrong = []
    for found, imported in own_imports():
        above, below = layer_of(found.by), layer_of(imported)
        if above is None or below is None:
            continue  # test_every_module_has_a_layer says so
        allowed = TESTING_SEES if above == "testing" else order[: order.index(above) + 1]
        if below not in allowed:
            wrong.append(f"{found}: {above} may not see {below}")
    assert not wrong, listed(wrong)


def test_strangers_do_not_meet() -> None:
    wrong = [
        f"{found}: {reason}"
        for found, imported in own_imports()
        for reason in matches(STRANGERS, found.by, imported)
    ]
    assert not wrong, listed(wrong)


def matches(table: dict[tuple[str, str], str], by: str, imported: str) -> list[str]:
    """The reasons in ``table`` that speak of this import."""
    return [reason for (one, other), reason in table.items() if among(by, [one]) and among(imported, [other])]


def test_no_cycles() -> None:
    """A cycle with an import inside a function is one too; one that only the type checker sees is not."""
    graph: dict[str, set[str]] = {module: set() for module in sources()}
    for found, imported in own_imports():
        if not found.for_types_only and imported != found.by:
            graph[found.by].add(imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])), pytrace=False)


def test_no_circle_between_folders() -> None:
    """Types included. ``resumehub/__init__.py`` is none of them: it has the names of all for the user."""
    graph: dict[str, set[str]] = {folder_of(module): set() for module in sources()}
    for found, imported in own_imports():
        above, below = folder_of(found.by), folder_of(imported)
        if above != below:
            graph[above].add(below)
    graph.pop("__init__")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])), pytrace=False)


def test_no_module_reads_the_underscore_of_another() -> None:
    """What others need has a name without one, and a docstring."""
    wrong = [
        f"{file_of(module)}:{node.lineno}: {ast.unparse(node)}"
        for module, tree in sources().items()
        for node in reached_into(tree, UNDERSCORES)
    ]
    assert not wrong, listed(wrong)


def test_an_underscore_is_found_wherever_it_is_read() -> None:
    """The test of the test above."""
    found = reached_into(
        ast.parse(
            "class Mine:\n"
            "    def method(self, other):\n"
            "        self._a = cls._b = Mine._c = super()._d = other.__class__\n"
            "        new = Mine()\n"
            "        new._g = other._e, self.other._f, sys._current_frames()\n"
            "def function(other):\n"
            "    new = other.made()\n"
            "    new._h = Other()._i\n"
        ),
        UNDERSCORES,
    )
    assert {node.attr for node in found} == {"_e", "_f", "_h", "_i"}


def test_a_class_name_occurs_once() -> None:
    """So that a name in a traceback, in a comment or in a search leads to one place."""
    homes: dict[str, list[str]] = {}
    for module, tree in sources().items():
        for node in classes_in(tree):
            homes.setdefault(node.name, []).append(f"{file_of(module)}:{node.lineno}")
    wrong = [f"{name}: {', '.join(places)}" for name, places in homes.items() if len(places) > 1]
    assert not wrong, listed(wrong)


def test_no_file_is_long() -> None:
    lengths = {file_of(module): lines_of(file_of(module)) for module in sources()}
    wrong = [f"{path}: {length} lines" for path, length in lengths.items() if length > MOST_LINES]
    assert not wrong, listed(wrong)


def test_the_core_is_pure() -> None:
    """And the client's machine."""
    wrong = [str(found) for found in imports() if among(found.by, PURE) and among(found.of, IMPURE)]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_in_one_place(library: str) -> None:
    homes = HOMES[library]
    wrong = [
        f"{found}; only {homes} may"
        for found in imports()
        if among(found.of, [library]) and not found.for_types_only and not among(found.by, homes)
    ]
    assert not wrong, listed(wrong)


def test_every_third_party_library_has_its_place() -> None:
    known = sys.stdlib_module_names | HOMES.keys() | {"resumehub"}
    wrong = [
        f"{found}: enter it in HOMES"
        for found in imports()
        if found.of.split(".")[0] not in known and not found.for_types_only
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("name", BANNED_CALLS)
def test_nobody_calls(name: str) -> None:
    wrong = [
        f"{module} (line {node.lineno}): {BANNED_CALLS[name]}"
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name
    ]
    assert not wrong, listed(wrong)


IMPORT_EVERYTHING = """
import importlib, sys, threading
def refuse(thread):
    raise AssertionError(f"importing {module} starts {thread}")
threading.Thread.start = refuse
for module in sys.argv[1:]:
    importlib.import_module(module)
"""


def test_importing_starts_no_thread() -> None:
    """A hub may be built before a server forks: a thread would be lost in the children."""
    modules = [
        "resumehub" if name == "__init__" else f"resumehub.{name}"
        for name in sources()
        if not among(name, ["contrib", "__main__", "*.__main__"])  # extras; runs the program
    ]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, *modules],
        cwd=PACKAGE.parent,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
