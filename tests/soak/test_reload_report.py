"""What is told of reloads under traffic: pauses by way and by kind of client, and each broken promise."""

from __future__ import annotations

from tests.cluster.verdict import Lane
from tools.soaking.reload_report import reload_failures, tell_reloads
from tools.soaking.reload_run import Reload, ReloadOutcome, ReloadSettings, Way


def outcome(*reloads: Reload) -> ReloadOutcome:
    return ReloadOutcome(ReloadSettings(reloads=2, clients=4), list(reloads))


def test_pauses_are_told_by_way_and_by_kind_of_client() -> None:
    """The median, the 99th percentile and the longest of all clients and reloads; and those of no reload."""
    found = outcome(
        Reload(None, {"ours": [0.1, 0.1], "theirs": [0.11]}),
        Reload(Way.HUP, {"ours": [0.12, 0.13], "theirs": [0.15]}, moves=1),
        Reload(Way.HUP, {"ours": [0.14, 0.16], "theirs": [0.2]}, moves=2),
        Reload(Way.USR2, {"ours": [0.3, 0.4], "theirs": [0.5]}, moves=1),
    )
    found.log = (
        "the hub of /f has moved from process 1 to 2 in 0.2 s (release 0.1 s, freeze 0.012 s), because"
    )

    told = tell_reloads(found)
    rows = {line.rsplit(None, 6)[0].strip(): line.split()[-6:] for line in told.splitlines() if line}

    assert rows["SIGHUP"] == ["2", "3", "0", "150", "200", "200"]
    assert rows["SIGUSR2, SIGTERM of the old master"] == ["1", "1", "0", "400", "500", "500"]
    assert rows["no reload"] == ["1", "0", "0", "100", "110", "110"]
    assert "clients of theirs" in told
    (frozen,) = [line for line in told.splitlines() if line.startswith("everything stood still")]
    assert frozen.split()[-4:] == ["1", "12", "12", "12"]
    assert told.splitlines()[-2].startswith("ok: nobody has dialled")
    assert told.splitlines()[-1].startswith(
        "again: tools/soak --cluster --reloads 2 --way all --server gthread "
    )


def test_what_a_client_notices_fails_the_run() -> None:
    """A dial, a message too few, a view that failed, a reload that moved nothing, an error in the log."""
    found = outcome(Reload(Way.HUP, {"ours": [0.1]}))
    found.verdict.dials = 1
    found.verdict.add(Lane("ada → bob", [1, 2, 3], [1, 3]))
    found.verdict.statuses["503"] += 2
    found.log = "Traceback (most recent call last):\n  File …\nValueError: no\n"
    found.left = ["process 4711"]

    assert reload_failures(found) == [
        "1 dials",
        "1 lost",
        "ada → bob: lost 2 of 3 sent",
        "2 views were answered 503",
        "reload 0 (SIGHUP): the hub has not moved",
        "a traceback in the log:\nTraceback (most recent call last):\n  File …\nValueError: no",
        "left behind: process 4711",
    ]
