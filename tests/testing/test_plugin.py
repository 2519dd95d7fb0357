"""The pytest plugin: fixtures, explored tests, leaks, and nothing at all for whoever does not use it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from resumehub.testing import explorer, leaks, plugin  # noqa: F401

# Here already, or each run inside this one would import all of it anew.
from resumehub.wsgi import checks as wsgi  # noqa: F401

ROOT = Path(__file__).parents[2]

pytest_plugins = ["pytester"]

#: Without what only costs time here.
QUIET = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest, with the plugin and whatever else is installed, on a test module."""

    def run_pytest(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", plugin.__name__, *QUIET, *arguments)

    return run_pytest


LOST_UPDATE = """
    import pytest
    from resumehub.testing import Deepening, Random

    @pytest.mark.explore({how})
    def test_both_count(lab):
        count = [0]

        def add():
            before = count[0]
            lab.pause("write")
            count[0] = before + 1

        @lab.actor
        def one():
            add()

        @lab.actor
        def two():
            add()

        @lab.at_end
        def both():
            assert count == [2]
"""

# -- fixtures ----------------------------------------------------------------------------------


def test_its_fixtures_are_there_for_the_asking(run: Run) -> None:
    run(
        """
        from resumehub import Hub, Message

        def test_time(fake_clock):
            hub = Hub(lambda request: ("lobby", "alice"), clock=fake_clock)
            fake_clock.advance(30)
            assert hub.close().complete

        def test_a_client(ws_app_client, fake_clock):
            with Hub(lambda request: ("lobby", "alice"), clock=fake_clock) as hub:
                alice = ws_app_client(hub, "/")
                hub.send("alice", Message("n", 1))
                assert alice.receive() == '{"event":"n","payload":1}'
                alice.close()

        def test_a_lab(lab):
            hub = lab.open()
            lab.dial("/?id=alice").drop()
            lab.run_until_idle()
            assert hub.get("alice").suspended

        def test_an_exploration(explore):
            done = []
            def scene(lab):
                lab.actor(lambda: done.append(1))
            assert explore(scene).schedules == 3
            assert len(done) == 6
        """
    ).assert_outcomes(passed=4)


def test_a_lab_is_finished_behind_the_test_and_its_failures_are_the_tests(run: Run) -> None:
    """An actor that fails, or a hub that cannot be closed, is a failure and not an error of the teardown."""
    result = run(
        """
        def test_actor(lab):
            @lab.actor
            def divides():
                print(1 / 0)

        def test_hub(lab):
            hub = lab.open()
            hub.on_connect(lambda connection: lab.threading.Event().wait())
            lab.dial("/?id=alice")

        def test_failing_anyway(lab):
            lab.open()
            lab.dial("/?id=alice")
            assert False, "for a reason of its own"
        """
    )
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        ["*ZeroDivisionError*", "*the hub cannot be closed*", "*for a reason of its own*"]
    )


# -- exploring ---------------------------------------------------------------------------------


def test_a_marked_test_is_run_in_every_order(run: Run) -> None:
    result = run(LOST_UPDATE.format(how=""))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*schedule 3 of test_both_count fails: AssertionError*",
            "*2. two: start; write*",
            "*replay: pytest 'test_a_marked_*.py::test_both_count' --schedule=x01  or  RESUMEHUB_*=x01*",
        ]
    )


@pytest.mark.parametrize("how", ["Deepening(0)", "Random(3, 1), twice=False", "max_schedules=2"])
def test_the_marker_takes_what_explore_takes(run: Run, how: str) -> None:
    """Here: bounds within which this bug is not found."""
    run(LOST_UPDATE.format(how=how)).assert_outcomes(passed=1)


@pytest.mark.parametrize(("schedule", "outcome"), [("x", "passed"), ("x01", "failed")])
def test_one_schedule_is_played_by_the_option(run: Run, schedule: str, outcome: str) -> None:
    run(LOST_UPDATE.format(how=""), f"--schedule={schedule}").assert_outcomes(**{outcome: 1})


def test_the_fixture_tells_of_the_option_too(run: Run) -> None:
    result = run(
        """
        def test_it(explore):
            def scene(lab):
                assert False, "not like this"
            explore(scene)
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*replay: pytest '*.py::test_it' --schedule=x  or  RESUMEHUB_SCHEDULE=x"])


def test_one_schedule_is_played_by_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESUMEHUB_SCHEDULE", "x")
    run(LOST_UPDATE.format(how="")).assert_outcomes(passed=1)


def test_an_explored_test_may_have_parameters_and_other_fixtures(run: Run) -> None:
    run(
        """
        import pytest

        seen = []

        @pytest.mark.explore
        @pytest.mark.parametrize("name", ["alice", "bob"])
        class TestIt:
            def test_runs(self, lab, name, tmp_path, request):
                seen.append(name)
                lab.actor(lambda: None)

        def test_that_it_did():
            assert seen == ["alice"] * 6 + ["bob"] * 6  # three orders, each of them twice
        """
    ).assert_outcomes(passed=3)


def test_a_marked_test_without_a_lab_is_told_what_is_missing(run: Run) -> None:
    result = run("import pytest\n@pytest.mark.explore\ndef test_it(): pass\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*a test that is explored takes the fixture 'lab'*"])


def test_a_skip_in_an_explored_test_is_a_skip(run: Run) -> None:
    run("import pytest\n@pytest.mark.explore\ndef test_it(lab): pytest.skip('not here')\n").assert_outcomes(
        skipped=1
    )


# -- leaks -------------------------------------------------------------------------------------

LEAKING = """
    import pytest, socket, threading

    kept = []
    enough = threading.Event()

    def leak_thread():
        kept.append(threading.Timer(1000, print))
        kept[-1].daemon = True
        kept[-1].start()

    def leak_socket():
        kept.append(socket.socket())

    @pytest.fixture(scope="module", autouse=True)
    def tidy_up():
        yield
        for one in kept:
            one.cancel() if hasattr(one, "cancel") else one.close()
        for one in kept:
            one.join() if hasattr(one, "join") else None

    {marker}
    def test_thread({fixture}):
        leak_thread()

    {marker}
    def test_socket({fixture}):
        leak_socket()

    def test_after():
        pass
"""


@pytest.mark.parametrize(
    ("marker", "fixture", "arguments"),
    [
        ("", "fake_clock", ()),
        ("", "explore", ()),
        ("@pytest.mark.no_leaks", "", ()),
        ("", "", ("-o", "resumehub_leaks=true")),
    ],
    ids=[
        "with a fixture of ours",
        "with another of ours",
        "with the marker",
        "everywhere if the ini file says so",
    ],
)
def test_a_thread_or_socket_that_is_left_behind_fails_its_test(
    run: Run, monkeypatch: pytest.MonkeyPatch, marker: str, fixture: str, arguments: tuple[str, ...]
) -> None:
    """A timer is a thread. Whoever comes after is not blamed."""
    monkeypatch.setattr(leaks, "GRACE", 0.1)
    result = run(LEAKING.format(marker=marker, fixture=fixture), *arguments)
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*left behind: thread 'Thread-*", "*left behind: descriptor *socket:*"])


def test_others_may_leave_behind_what_they_like(run: Run) -> None:
    run(LEAKING.format(marker="", fixture="")).assert_outcomes(passed=3)


# -- hangs -------------------------------------------------------------------------------------


def test_a_hang_prints_where_every_thread_of_the_lab_is(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest-timeout's own printout has it, since it shows the names of threads."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(
        """
        import signal
        import threading

        never = threading.Event()
        main = threading.main_thread().ident

        def test_hangs(lab):
            lab.open()
            lab.dial("/?id=alice")

            @lab.actor
            def stray():
                lab.pause("go astray")
                # The time is over now, however long it took to come here.
                signal.pthread_kill(main, signal.SIGALRM), never.wait()
        """
    )
    result = pytester.runpytest_subprocess(
        "-p", "resumehub.testing.plugin", "--timeout=60", "--timeout-method=signal", *QUIET
    )
    result.assert_outcomes(failed=1, errors=1)  # the stray thread is left behind, too
    result.stdout.fnmatch_lines_random(
        [
            "*Stack of lab: stray: go astray*",
            "*Stack of lab: reader of alice: wait for input*",
            "*never.wait()*",
        ]
    )


# -- whoever does not use it -------------------------------------------------------------------


def test_it_imports_nothing_of_the_kit_until_it_is_used(pytester: pytest.Pytester) -> None:
    code = (
        "import sys, resumehub.testing.plugin\n"
        "print([name for name in sys.modules if name.startswith('resumehub.testing.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['resumehub.testing.plugin']\n"


def test_tests_that_do_not_use_it_are_left_alone(run: Run) -> None:
    result = run(
        """
        import sys

        def test_it(request):
            assert [name for name in request.fixturenames if "resumehub" in name] == []
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=1)


def test_an_applications_own_fixtures_come_first(run: Run) -> None:
    """Somebody's "lab" has been a laboratory all along."""
    run(
        """
        import pytest

        @pytest.fixture
        def lab():
            return "white coats"

        def test_it(lab):
            assert lab == "white coats"
        """
    ).assert_outcomes(passed=1)


def test_pytest_finds_it_under_the_name_of_its_module() -> None:
    """So that loading it by name, too, does not load it twice."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert (
        setup["options.entry_points"]["pytest11"].strip()
        == "resumehub.testing.plugin = resumehub.testing.plugin"
    )
