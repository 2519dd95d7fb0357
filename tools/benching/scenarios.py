"""What is measured, one function each. The table ``SCENARIOS`` is what a run goes through.

A scenario is given a ``Stage`` with a server that runs, connects whom it needs, measures, and writes its
measures down. A server that does not do what is measured is no failure of the run: ``Unanswered`` goes into
the notes of the report. Called by ``run.py``. Read next: ``flows.py``, ``commands.py``, ``many.py``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing

from .commands import commands
from .dial import Link, dial
from .dialects import Who
from .flows import Echo, FanOut, now
from .many import many
from .stage import Stage, at, distribution, milliseconds

_STUCK = 2.0
"""Seconds without a single delivery: everybody waits for the one who does not read."""


def echo(stage: Stage) -> None:
    """Everybody sends and waits for his own message, all the time."""
    sizes = stage.sizes
    with closing(stage.crowd("echo")) as crowd:
        crowd.grow(sizes.echo)
        flow = Echo(crowd)
        flow.start()
        until = now() + sizes.seconds / 5
        while now() < until:
            flow.step()
        flow.latencies.clear()
        with stage.busy() as busy:
            begun, before = now(), flow.count
            while now() - begun < sizes.seconds:
                flow.step()
            rate = (flow.count - before) / (now() - begun)
            shares = busy()
        crowd.leave()
    name = f"echo, {sizes.echo} connections"
    stage.note(name, "messages/s", rate, busy=shares)
    stage.note(f"{name}, p50", "ms", milliseconds(at(flow.latencies, 0.5)))
    stage.note(
        f"{name}, p99",
        "ms",
        milliseconds(at(flow.latencies, 0.99)),
        plot="echo",
        distribution=distribution(flow.latencies),
    )


def fan_out(stage: Stage) -> None:
    """One message for everybody, for more and more receivers."""
    with closing(stage.crowd("fan")) as crowd:
        for receivers in stage.sizes.receivers:
            crowd.grow(receivers)
            stage.server.settle()
            for window in stage.sizes.windows:
                _fan_out(stage, FanOut(crowd, window), receivers, window)
        crowd.leave()


def _fan_out(stage: Stage, flow: FanOut, receivers: int, window: int) -> None:
    with stage.busy() as busy:
        count, took = flow.run(stage.sizes.seconds, at_least=2)
        shares = busy()
    name = f"fan-out to {receivers:,}, window {window}"
    stage.note(
        name,
        "deliveries/s",
        count * receivers / took,
        busy=shares,
        plot=f"fan-out, window {window}",
        x=receivers,
    )
    if window == 1:
        p99 = milliseconds(at(flow.latencies, 0.99))
        stage.note(f"{name}, p99", "ms", p99)


def idle(stage: Stage) -> None:
    """Connected, and silent."""
    server = stage.server
    dial(stage.contender.dialect, server.address, [Who("first")])[0].cut()
    server.settle()
    memory, threads = server.rss_kib(), server.threads()
    with closing(stage.crowd("idle")) as crowd:
        for size in stage.sizes.idle:
            begun = now()
            before = len(crowd.links)
            crowd.grow(size)
            rate = (size - before) / (now() - begun)
            server.settle()
            each = (server.rss_kib() - memory) / size
            stage.note(f"idle, {size:,} connections", "KiB each", each, plot="memory", x=size)
            stage.note(f"idle, {size:,} connections", "threads each", (server.threads() - threads) / size)
            stage.note(f"connecting {size:,}", "connections/s", rate)
        crowd.leave()


def churn(stage: Stage) -> None:
    """Cut without a word and back at once, over and over; to its session, where there is such a thing."""
    dialect, address = stage.contender.dialect, stage.server.address
    crowd = [Who(f"churn{number}") for number in range(stage.sizes.churn)]
    links = dial(dialect, address, crowd)
    count, begun = 0, now()
    while now() - begun < stage.sizes.seconds:
        for link in links:
            link.cut()
        links = []
        links = dial(dialect, address, crowd)
        count += len(links)
    took = now() - begun
    _let_go(stage, links)
    stage.note(f"churn, {len(crowd)} at a time", "connections/s", count / took)


def storm(stage: Stage) -> None:
    """All lose the network at once, miss a message, and come back at once.

    Back is who has its session and the missed message; with servers that keep nothing, who is connected.
    """
    dialect, address = stage.contender.dialect, stage.server.address
    crowd = [Who(f"storm{number}") for number in range(stage.sizes.storm)]
    with closing(stage.crowd("stays")) as stays:
        stays.grow(1)
        for link in dial(dialect, address, crowd):
            link.cut()
        missed = FanOut(stays, 1)
        missed.ask()
        while not missed.idle:
            missed.step(again=False)
        begun = now()
        links = dial(dialect, address, crowd, at_once=len(crowd), messages=int(dialect.resumes))
        took = now() - begun
        _let_go(stage, links)
        stays.leave()
    waited = [link.ready_at - begun for link in links]
    name = f"storm of {len(crowd):,}"
    stage.note(name, "clients/s", len(links) / took)
    stage.note(f"{name}, until the last is back", "ms", milliseconds(took))
    stage.note(f"{name}, p50", "ms", milliseconds(at(waited, 0.5)))


def stalled(stage: Stage) -> None:
    """One of them does not read. How long do the others wait?"""
    sizes = stage.sizes
    stage.server.listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, 8192
    )  # inherited by what it accepts
    with closing(stage.crowd("reads")) as crowd:
        crowd.grow(sizes.stalled - 1)
        name = f"{sizes.stalled:,} receivers"
        fair = _p99(FanOut(crowd, 1, patience=_STUCK), sizes.samples)
        sleeper = dial(stage.contender.dialect, stage.server.address, [Who("sleeper")], small=True)[0]
        crowd.add([sleeper])
        crowd.hear_from([sleeper])
        crowd.remove(sleeper)
        try:
            flow = FanOut(crowd, 16, patience=_STUCK)
            flow.run(0, at_least=sizes.stuffing)
            p99 = _p99(FanOut(crowd, 1, patience=_STUCK), sizes.samples)
        finally:
            sleeper.cut()
        crowd.leave()
    stage.note(f"{name}, p99", "ms", milliseconds(fair))
    stage.note(f"{name}, one of them stalled, p99 of the others", "ms", milliseconds(p99))


def _p99(flow: FanOut, samples: int) -> float:
    flow.run(0, at_least=samples)
    return at(flow.latencies, 0.99)


def _let_go(stage: Stage, links: list[Link]) -> None:
    with closing(stage.crowd("")) as crowd:
        crowd.add(links)
        crowd.leave()


SCENARIOS: dict[str, Callable[[Stage], None]] = {
    "idle": idle,
    "echo": echo,
    "fan-out": fan_out,
    "storm": storm,
    "churn": churn,
    "stalled": stalled,
    "commands": commands,
    "many": many,
}
"""By name, in the order of the report. ``idle`` is first: one server for all of them is still fresh then."""
