"""The JavaScript client in node against a real hub, while the network is cut under both of them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.integration.servers import ServerProcess, werkzeug
from tests.js.test_node import HERE, node  # noqa: F401  (a fixture)

MESSAGES = 400
DROPS = 4


def run_script(server: ServerProcess, program: str, script: str, *arguments: str) -> Any:
    """Run a script against ``server`` in ``program``, which is Node; give what it printed, which is JSON."""
    done = subprocess.run(
        [program, script, server.url, *arguments],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + server.log_text()
    return json.loads(done.stdout)


def storm(node: str, protocol: str) -> tuple[dict[str, Any], list[Any]]:  # noqa: F811
    """Give what the client got, and what the hub's application has handled."""
    with werkzeug("tests.js.page_app:app") as server:
        client = run_script(server, node, "storm.js", protocol, str(MESSAGES), str(DROPS))
        return client, json.loads(server.get("/handled")[1])


def test_lossless_means_once_and_in_order_in_both_directions(node: str) -> None:  # noqa: F811
    """However often the network is cut, and while a handler is at work."""
    client, handled = storm(node, "lossless")

    numbers = [*range(1, client["sent"] + 1)]
    assert handled == [*numbers, "end"]
    assert client["got"] == [*numbers, "end"]


def test_plain_loses_nothing_that_the_server_sent(node: str) -> None:  # noqa: F811
    """What a plain client has sent may be lost, but each answer to what arrived comes, once and in order."""
    client, handled = storm(node, "plain")

    assert client["got"] == handled[: handled.index("end") + 1]
    assert client["got"] == [*sorted(client["got"][:-1]), "end"]


def test_a_plain_client_is_not_connected_to_a_full_hub_and_loses_nothing_by_it(node: str) -> None:  # noqa: F811
    """Each refused dial shows an open socket; what it is to send waits until there is room."""
    with werkzeug("tests.js.full_app:app") as server:
        told = run_script(server, node, "full.js")
    refused = [4503, "try again later (in 5 seconds)"]

    assert told[:4] == [refused] * 4
    assert [one for one in told if one != refused] == [
        ["connect", {"id": None}],
        ["welcome", None],
        ["say", "before there was room"],
    ]


def requests(node: str, protocol: str) -> tuple[dict[str, Any], list[Any]]:  # noqa: F811
    """Give what the client was answered, and what the hub's application has handled."""
    with werkzeug("tests.js.page_app:app") as server:
        client = run_script(server, node, "requests.js", protocol, str(MESSAGES), str(DROPS))
        return client, json.loads(server.get("/handled")[1])


def test_each_request_is_handled_once_and_answered_once(node: str) -> None:  # noqa: F811
    """However often the network is cut between the question and its answer."""
    client, handled = requests(node, "lossless")

    numbers = [*range(1, client["asked"] + 1)]
    assert handled == numbers
    assert client["told"] == [[number, number] for number in numbers]
    assert client["stats"]["late"] == 0


def test_a_plain_client_has_its_answer_or_is_told_that_there_is_none(node: str) -> None:  # noqa: F811
    """No request is handled twice, none is forgotten, and no answer is taken for another one's."""
    client, handled = requests(node, "plain")

    assert sorted(number for number, _ in client["told"]) == [*range(1, client["asked"] + 1)]
    assert len({*handled}) == len(handled)
    assert {*handled} >= {answer for _, answer in client["told"] if answer != "RequestTimeout"}
    assert all(answer in (number, "RequestTimeout") for number, answer in client["told"])


def test_the_hub_has_one_answer_to_each_of_its_requests(node: str) -> None:  # noqa: F811
    """However often the network is cut while the page is at one, and while others wait for theirs."""
    with werkzeug("tests.js.page_app:app") as server:
        client = run_script(server, node, "answers.js", "60")

    numbers = [*range(1, 61)]
    assert sorted(client["seen"]) == numbers
    assert sorted(client["answers"]) == [[number, number * 2] for number in numbers]
    assert client["stats"]["drops"] > 1
