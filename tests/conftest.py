"""What holds for every test: nothing leaks, nothing is skipped unseen, rules can be run by number.

* A thread or a socket that outlives the test that made it fails that test; the one that a
  broader fixture leaves behind fails the run.
* With ``RESUMEHUB_NO_SKIP=1`` (``tools/test`` sets it when ``CI=true``) a skip is a failure.
* ``pytest --rule A5`` runs the tests that carry ``@pytest.mark.contract("A5")``.
* Several processes begin with the files that take longest (``file_times.py``).
* A teardown that hangs ends the run with every stack. (The other hang guards, pytest-timeout
  for a test and faulthandler behind it, are settings in ``setup.cfg``.)
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from resumehub.runtime.stacks import stack_of
from tests import file_times
from tests.support import stage  # noqa: F401 (a fixture for every test)

AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)

GRACE = 2.0
"""Seconds of real time in which what a test has told to end must have ended."""

NOT_OURS = ("pytest_timeout ",)
"""Beginnings of the names of threads that belong to the test runner."""

DESCRIPTORS = Path("/proc/self/fd")

BLAMED: set[threading.Thread | str] = set()
"""Threads, and sockets by their link, that a test was failed for: the run's own check is silent on them."""


# -- leaks ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail the test that leaves a thread or a socket behind."""
    with leak_check():
        yield


@pytest.fixture(scope="session", autouse=True)
def no_leaks_from_broader_fixtures() -> Iterator[None]:
    """The same for what module and session fixtures leave behind."""
    with leak_check():
        yield


@contextlib.contextmanager
def leak_check() -> Iterator[None]:
    """Fail when threads or sockets made inside are still there ``GRACE`` seconds after."""
    threads_before, sockets_before = set(threading.enumerate()), open_sockets()
    yield
    leaks: dict[threading.Thread | str, str] = {}
    for thread in leaked_threads(threads_before):
        leaks[thread] = describe_thread(thread)
    for descriptor, link in leaked_sockets(sockets_before).items():
        leaks[link] = describe_socket(descriptor, link)
    new = [description for leak, description in leaks.items() if leak not in BLAMED]
    BLAMED.update(leaks)
    if new:
        summary = "; ".join(description.splitlines()[0] for description in new)
        pytest.fail(f"left behind: {summary}\n\n" + "\n".join(new), pytrace=False)


def leaked_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """The new threads that can't be joined. One that hangs spends the patience for all."""
    patience = GRACE
    leaked = []
    for thread in threading.enumerate():
        # Python shows a thread that it did not start as Dummy-N and can never join it.
        if thread in before or thread.name.startswith((*NOT_OURS, "Dummy-")):
            continue
        thread.join(patience)
        if thread.is_alive():
            leaked.append(thread)
            patience = 0.0
    return leaked


def leaked_sockets(before: dict[int, str]) -> dict[int, str]:
    """The new sockets. They are looked at once when all is well: the loop is for the thread
    of a broader fixture (a live server) that is still closing its side, which nobody can join.
    """
    never = threading.Event()
    pause = 0.02
    for _ in range(int(GRACE / pause)):
        new = dict(open_sockets().items() - before.items())
        if not new:
            break
        never.wait(pause)
    return new


def open_sockets() -> dict[int, str]:
    """Descriptor → "socket:[inode]" of this process; Linux only, elsewhere always empty.

    The inode makes the difference: a descriptor that was closed and used again is a new socket.
    """
    links = {}
    if DESCRIPTORS.is_dir():
        for name in os.listdir(DESCRIPTORS):
            with contextlib.suppress(OSError):  # the listing's own descriptor is gone again
                links[int(name)] = os.readlink(DESCRIPTORS / name)
    return {descriptor: link for descriptor, link in links.items() if link.startswith("socket:")}


def describe_thread(thread: threading.Thread) -> str:
    stack = stack_of(thread.ident) or "  (no Python frame)\n"
    return f"thread {thread.name!r}{' (daemon)' if thread.daemon else ''}\n{stack}"


def describe_socket(descriptor: int, link: str) -> str:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            ends = f"from {copy.getsockname()!r}"
            with contextlib.suppress(OSError):
                ends += f" to {copy.getpeername()!r}"
    except OSError as error:
        ends = f"({error})"
    return f"descriptor {descriptor}, {link}, {ends}"


# -- hangs ----------------------------------------------------------------------------

STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    assert sys.__stderr__ is not None
    config.stash[STDERR] = os.dup(sys.__stderr__.fileno())  # now, since it is captured later


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[STDERR])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Guard the teardown by itself: a test that hung has used up its pytest-timeout, and
    pytest disarms its own ``faulthandler_timeout`` when the test fails.
    """
    limit = float(item.config.getini("faulthandler_timeout") or 0)
    if limit > 0:
        faulthandler.dump_traceback_later(limit, exit=True, file=item.config.stash[STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


# -- skips ----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_skip((yield))


def refuse_skip(report: AnyReport) -> AnyReport:
    """Turn a skip into a failure where nothing may be skipped. An expected failure is no skip."""
    if os.environ.get("RESUMEHUB_NO_SKIP") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {reason}"
    return report


# -- which tests, and in which order --------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rule", metavar="ID", help='run the tests marked contract("ID") only, as A5')
    parser.addoption(
        "--file-times", action="store_true", help="print how long each file took, for tests/file_times.py"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    rule = config.getoption("--rule")
    if rule is not None:
        held = [item for item in items if any(rule in mark.args for mark in item.iter_markers("contract"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in held])
        items[:] = held
    if hasattr(config, "workerinput"):  # one of several processes, which take files in this order
        items.sort(key=lambda item: file_times.rank(file_of(item.nodeid)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--file-times"):
        return
    times: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                times[file_of(report.nodeid)] += report.duration
    terminalreporter.section("files that take long")
    terminalreporter.write_line(file_times.table(times))


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]
