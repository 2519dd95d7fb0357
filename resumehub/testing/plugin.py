"""The pytest plugin: fixtures for the lab, a marker to explore a test, and a watch for leaks.

pytest loads it wherever resumehub is installed, so it imports nothing until one of its fixtures or
its marker is used, and looks at no test that uses none of them.

* fixtures ``fake_clock``, ``lab``, ``explore``, ``ws_app_client``;
* ``@pytest.mark.explore``: run the test in every order of its threads (its ``lab`` argument is another
  one for each); the marker's arguments are those of ``explore``;
* ``--schedule=x…`` (or RESUMEHUB_SCHEDULE): play just this schedule of the tests that run;
* a thread or a socket that outlives a test with one of the fixtures, with ``@pytest.mark.no_leaks``, or any
  test if ``resumehub_leaks = true`` is in the ini file, fails it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import WebSocketClient
    from .clocks import FakeClock
    from .explorer import Explored
    from .lab import Lab

_LEAKS = "_resumehub_leaks"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("resumehub", "the race lab")
    group.addoption("--schedule", metavar="x…", help="play just this schedule, which a failure has printed")
    parser.addini("resumehub_leaks", "fail every test that leaves a thread or a socket behind", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "explore(strategy=None, *, max_schedules=10000, stop_at_locks=False, twice=True): run the test, "
        "which takes the fixture 'lab', in every order of its threads",
    )
    config.addinivalue_line("markers", "no_leaks: fail the test if it leaves a thread or a socket behind")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    everywhere = config.getini("resumehub_leaks")
    for item in items:
        if isinstance(item, pytest.Function) and (everywhere or item.get_closest_marker("no_leaks")):
            item.fixturenames.insert(0, _LEAKS)


# -- fixtures -------------------------------------------------------------------------------


@pytest.fixture(name=_LEAKS)
def _check_for_leaks() -> Iterator[None]:
    from .leaks import leaks_since, snapshot

    before = snapshot()
    yield
    left = leaks_since(before)
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def fake_clock(_resumehub_leaks: None) -> FakeClock:
    """A clock that stands still until ``advance`` moves it: ``Hub(clock=fake_clock)``."""
    from .clocks import FakeClock

    return FakeClock()


@pytest.fixture
def lab(request: pytest.FixtureRequest, _resumehub_leaks: None) -> Iterator[Lab | None]:
    """A hub with all its threads under control; it is finished (all played, closed) behind the test."""
    if request.node.get_closest_marker("explore"):
        yield None  # each schedule gets a lab of its own
        return
    from .lab import Lab

    one = Lab()
    try:
        yield one
    finally:
        one.abandon()


@pytest.fixture
def explore(request: pytest.FixtureRequest, _resumehub_leaks: None) -> Callable[..., Explored]:
    """``explore(scenario, …)``; ``--schedule`` has it play just one schedule."""
    return _explorer(request.node)


@pytest.fixture
def ws_app_client(_resumehub_leaks: None) -> Iterator[Callable[..., WebSocketClient]]:
    """``ws_app_client(app, "/ws", …)``: ``connect``; the clients are closed behind the test."""
    from .client import connect

    clients = []

    def open_client(app: Any, url: str = "/", **how: Any) -> WebSocketClient:
        clients.append(connect(app, url, **how))
        return clients[-1]

    yield open_client
    for client in clients:
        client.sock.close()


# -- the marker -----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    __tracebackhide__ = True
    mark = pyfuncitem.get_closest_marker("explore")
    if mark is None:
        result = yield
        one: Any = pyfuncitem.funcargs.get("lab")
        if type(one).__module__ == "resumehub.testing.lab":
            one.finish()
        return result
    test = pyfuncitem.obj
    arguments = _arguments(test, pyfuncitem.funcargs)
    if "lab" not in arguments:
        pytest.fail("a test that is explored takes the fixture 'lab'", pytrace=False)

    def scenario(lab: Lab) -> None:
        test(**arguments | {"lab": lab})

    scenario.__name__ = pyfuncitem.name

    def explored(**_: Any) -> None:
        __tracebackhide__ = True
        _explorer(pyfuncitem)(scenario, *mark.args, **mark.kwargs)

    # Instead of the test, which is called by ``explore`` now, many times.
    pyfuncitem.obj = explored
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


def _arguments(test: Callable[..., object], fixtures: dict[str, Any]) -> dict[str, Any]:
    """Those of the fixtures that the test takes; a parameter with a default takes none."""
    parameters = inspect.signature(test).parameters.values()
    taken = [one.name for one in parameters if one.default is one.empty]
    return {name: fixtures[name] for name in taken if name in fixtures}


def _explorer(item: pytest.Item) -> Callable[..., Explored]:
    """``explore``, with the schedule that ``--schedule`` names, and with the line that replays a failure."""
    from .explorer import explore

    def line(schedule: str) -> str:
        return f"pytest '{item.nodeid}' --schedule={schedule}"

    def explore_or_replay(scenario: Callable[[Lab], object], *how: Any, **more: Any) -> Explored:
        __tracebackhide__ = True
        wanted = {"replay": item.config.getoption("--schedule"), "_line": line}
        return explore(scenario, *how, **wanted | more)

    return explore_or_replay
