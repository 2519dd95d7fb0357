"""How long a client waits before it dials again: bounded by ten seconds, and by what has passed."""

from __future__ import annotations

import json
import random
import subprocess
from itertools import islice

import pytest

from resumehub.client import commands as c
from resumehub.client import effects as e
from resumehub.errors import TransportLost
from tests.client.client_machine_driver import Bench, of
from tests.client.pauses import away, each_pause, pauses
from tests.js.test_node import HERE as JS
from tests.js.test_node import node  # noqa: F401  (a fixture)


def test_a_short_outage_is_no_long_absence() -> None:
    """Of a thousand clients none is away for more than five seconds behind an outage of four."""
    late, _ = away(4.0, clients=1_000)
    assert late[-1] < 5.0
    assert late[int(len(late) * 0.95)] < 3.5


@pytest.mark.parametrize("seed", range(20))
def test_no_pause_is_longer_than_ten_seconds(seed: int) -> None:
    """However long the server has been away; none is longer than twice what has passed and half a second."""
    drawn = pauses(random.Random(seed).random, 300.0)
    assert max(drawn) <= 10.0
    assert all(pause <= 2 * sum(drawn[:number]) + 0.5 for number, pause in enumerate(drawn))


def test_a_short_pause_does_not_double_the_bound() -> None:
    """A few short ones in a row would make it far longer than the outage has lasted."""
    bench = Bench(initial=1.0, cap=8.0, chance=0.49)
    for chance in (0.49, 0.0, 0.5, 0.1, 1.0, 0.5):
        bench.chance = chance
        bench.do(c.DialFailed(bench.machine.dial, TransportLost()))
        bench.wait_for_retry()
    assert [pause.upto for pause in of(bench.done, e.DrawPause)] == [1.0, 1.0, 1.0, 2.0, 2.0, 4.0]


def test_what_a_server_asks_for_is_bounded_and_doubles_nothing() -> None:
    """A wrong Retry-After keeps no client away for days."""
    bench = Bench(initial=1.0, cap=8.0, chance=0.25)
    for status, retry_after in ((503, 7.0), (429, 10.0**9)):
        bench.do(c.DialRefused(bench.machine.dial, status, retry_after=retry_after))
        bench.wait_for_retry()
    assert [(pause.upto, pause.at_least) for pause in of(bench.done, e.DrawPause)] == [
        (1.0, 7.0),
        (1.0, 300.0),
    ]


SCRIPT = """
import { Machine } from "../../resumehub/static/resumehub.js";
const drawn = JSON.parse(process.argv[1]);
const pauses = [];
const machine = new Machine({ random: () => drawn.shift() });
let now = 0;
const see = (effects) => {
  for (const { detail } of effects) if (detail?.state === "waiting") pauses.push(detail.pause);
};
machine.start(now, "tab");
while (drawn.length > 0) {
  see(machine.closed(1006, "", now));
  now = machine.deadline;
  see(machine.tick(now));
}
console.log(JSON.stringify(pauses));
"""


def test_both_clients_have_the_same_rule(node: str) -> None:  # noqa: F811
    """With the same random numbers JavaScript's waits as long."""
    chance = random.Random(7).random
    numbers = [chance() for _ in range(40)]
    ours = list(islice(each_pause(iter(numbers).__next__), len(numbers)))
    done = subprocess.run(
        [node, "--input-type=module", "-e", SCRIPT, json.dumps(numbers)],
        cwd=JS,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert [pause / 1000 for pause in json.loads(done.stdout)] == pytest.approx(ours)
