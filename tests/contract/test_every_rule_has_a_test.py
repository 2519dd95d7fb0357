"""Every rule of docs/reference/contract.md has a test that carries its id, and every mark names such a rule.

A test says which rules it holds, one or several, on itself, its class or a parameter::

    @pytest.mark.contract("A5")
    def test_an_expired_session_is_not_resumed(): ...

    pytest.param(..., marks=pytest.mark.contract("A.405"))

``pytest --rule A5`` runs the tests of one rule, ``pytest -m contract`` those of all. What else the page must
hold is in ``tests/test_contract_page.py``.
"""

from __future__ import annotations

import pytest

from tests.contract.contract_page import NAME, marked, planned, rules


@pytest.mark.parametrize("rule", [rule.id for rule in rules()])
def test_a_rule_has_a_test(rule: str) -> None:
    assert marked().get(rule), f'no test is marked contract("{rule}")'


def test_every_mark_names_a_rule_that_is_kept() -> None:
    """A mistyped id would hide that its rule has no test; a planned rule that has one is to be moved."""
    unknown = marked().keys() - {rule.id for rule in rules()}
    problems = [
        f"{rule} in {', '.join(marked()[rule])}: "
        + (f"move it out of 'Not kept yet' in {NAME}" if rule in planned() else f"no rule of {NAME}")
        for rule in sorted(unknown)
    ]
    assert not problems
