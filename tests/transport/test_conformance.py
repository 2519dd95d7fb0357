"""Every transport keeps every clause of ``transport/base.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.transport import benches
from tests.transport.conformance import CHECKS, Bench

KINDS: dict[str, Callable[[], Bench]] = {
    "a socketpair": benches.socketpair_bench,
    "loopback TCP": benches.tcp_bench,
    "compression": benches.compressed_bench,
    "TLS": benches.tls_bench,
    "memory": benches.memory_bench,
    "stateful memory": benches.stateful_memory_bench,
}


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = KINDS[request.param]()
    yield made
    made.leave()


def sentence(check: Callable[[Bench], None]) -> str:
    return check.__name__.removeprefix("check_").replace("_", " ")


@pytest.mark.parametrize("check", CHECKS, ids=sentence)
def test_transport(bench: Bench, check: Callable[[Bench], None]) -> None:
    check(bench)


def test_every_clause_has_a_check() -> None:
    clauses = {check.__name__.split("_")[1] for check in CHECKS}
    assert clauses == {f"t{number}" for number in range(1, 15)}
