"""Which test files take longest, as measured: a run on several processes begins with them.

A process that takes a long file last works alone in the end, when the others have nothing left to do. So
``conftest.py`` sorts the tests by this table, in each process in the same way. ``pytest --file-times`` prints
the table of its run; copy it here when slow files have come, gone or changed much. A file that is not here
takes less than those that are.
"""

from __future__ import annotations

LEAST = 3.0
"""Seconds that a file takes at least to be in the table."""

SECONDS: dict[str, float] = {
    "tests/integration/test_demo_page.py": 60,
    "tests/cluster/test_scenarios_reload.py": 45,
    "tests/integration/test_demo_workers_page.py": 40,
    "tests/cluster/test_scenarios_stops.py": 40,
    "tests/cluster/test_scenarios_hub_process.py": 35,
    "tests/integration/test_real_servers.py": 35,
    "tests/integration/test_server_end.py": 30,
    "tests/integration/test_flask_servers.py": 30,
    "tests/cluster/test_scenarios_dials.py": 30,
    "tests/test_docs.py": 28,
    "tests/integration/test_many.py": 27,
    "tests/js/test_browser.py": 25,
    "tests/js/test_copied_pages.py": 25,
    "tests/test_cli.py": 24,
    "tests/integration/test_handover_servers.py": 20,
    "tests/integration/test_server_settings.py": 18,
    "tests/cluster/test_move_between_processes.py": 18,
    "tests/cluster/test_dials_between_processes.py": 16,
    "tests/test_docs_generated.py": 16,
    "tests/test_signposts.py": 15,
    "tests/test_bench.py": 15,
    "tests/guards/test_guards.py": 15,
    "tests/test_rooms_cost.py": 14,
    "tests/cluster/test_harness.py": 12,
    "tests/tour/test_gallery.py": 12,
    "tests/tour/test_proof.py": 10,
    "tests/contrib/test_flask_apps.py": 10,
    "tests/model/test_model.py": 10,
    "tests/core/test_every_order.py": 10,
    "tests/core/test_every_order_v1.py": 10,
    "tests/core/test_membership_orders.py": 10,
    "tests/moving/test_moving.py": 10,
    "tests/test_contract_page.py": 8,
    "tests/testing/test_plugin.py": 8,
    "tests/integration/test_soak.py": 8,
    "tests/js/test_node.py": 8,
    "tests/test_architecture.py": 7,
    "tests/test_outbox_random.py": 6,
}
"""Path in the repository → seconds of a run on two cores, roughly: their order is what counts."""


def rank(path: str) -> float:
    """A key to sort by: the slowest file first, those that are not in the table last, in one place."""
    return -SECONDS.get(path, 0.0)


def table(times: dict[str, float]) -> str:
    """The lines of ``SECONDS`` for a run in which files took these times."""
    slow = sorted((-took, path) for path, took in times.items() if took >= LEAST)
    return "\n".join(f'    "{path}": {-took:.0f},' for took, path in slow)
