"""Every transport keeps every clause of ``transport/base.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.transport import transport_kinds
from tests.transport.conformance import CHECKS, Bench

KINDS: dict[str, Callable[[], Bench]] = {
    "a socketpair": transport_kinds.socketpair_bench,
    "loopback TCP": transport_kinds.tcp_bench,
    "compression": transport_kinds.compressed_bench,
    "TLS": transport_kinds.tls_bench,
    "memory": transport_kinds.memory_bench,
    "stateful memory": transport_kinds.stateful_memory_bench,
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
