"""Fixtures for the tests of the contract: ways into a hub (table A), and a gate (B and C)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.hub_servers import DOORS, Door
from tests.contract.peers import Gate


@pytest.fixture
def doors() -> Iterator[Callable[..., Door]]:
    """Make any number of ``Door``s, of the kind that is asked for; all are closed after the test."""
    made: list[Door] = []

    def make(kind: str, /, *arguments: object, **options: object) -> Door:
        made.append(Door(kind, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.leave()


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, doors: Callable[..., Door]) -> Callable[..., Door]:
    """Make a ``Door``; the test runs once for each of the two kinds."""
    return lambda *arguments, **options: doors(request.param, *arguments, **options)


@pytest.fixture
def front(doors: Callable[..., Door]) -> Callable[..., Door]:
    """Make a ``Door`` to ``hub.wsgi_app``: for what only its ``connect`` can do."""
    return lambda *arguments, **options: doors("hub.wsgi_app", *arguments, **options)


@pytest.fixture
def gate(stage: object) -> Iterator[Gate]:
    """A gate for a handler to wait at; open by the time the stage's hubs are closed."""
    one = Gate()
    yield one
    one.open()
