"""Table A is decided from top to bottom: whoever breaks two rules is told of the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from werkzeug import Request
from werkzeug.exceptions import ImATeapot

from resumehub import ConnectRejected
from tests.contract.hub_servers import HUB_SERVERS, HubServer
from tests.contract.raw_client import PLAIN, Headers
from tests.support import from_query


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request, or with the hub that it meets, and the answer to it."""

    row: int
    name: str
    status: int
    says: str
    query: str = ""
    headers: Headers = field(default_factory=dict)
    method: str = "GET"
    opens: str = ""
    prepare: Callable[[HubServer], Any] = lambda hub_server: None


def moody(request: Request) -> tuple[str, str | None]:
    """A ``connect`` that fails as the query asks it to."""
    match request.args.get("mood"):
        case "tea":
            raise ImATeapot("no coffee here")
        case "strict":
            raise ConnectRejected("not you")
        case "broken":
            raise RuntimeError("a bug")
    return from_query(request)


def without_socket(hub_server: HubServer) -> None:
    hub_server.before = lambda environ: environ.pop("werkzeug.socket")


FAULTS = [
    Fault(1, "no raw socket", 501, "cannot be upgraded", prepare=without_socket),
    Fault(2, "a closed hub", 503, "shutting down", prepare=lambda hub_server: hub_server.hub.close(0)),
    # Flask itself refuses a POST with an Upgrade header: its WebSocket rules know only GET.
    Fault(3, "a POST", 405, "Only GET", headers={"Connection": None, "Upgrade": None}, method="POST"),
    Fault(4, "a parameter twice", 400, "instance must be given once", query="instance=a&instance=b"),
    Fault(5, "no upgrade headers", 426, "WebSocket endpoint", headers=PLAIN),
    Fault(6, "a short key", 400, "Sec-WebSocket-Key", headers={"Sec-WebSocket-Key": "c2hvcnQ="}),
    Fault(6, "an old version", 426, "Sec-WebSocket-Version", headers={"Sec-WebSocket-Version": "8"}),
    Fault(7, "a foreign origin", 403, "origin", headers={"Origin": "https://evil.test"}),
    Fault(8, "a teapot", 418, "no coffee here", query="mood=tea"),
    Fault(8, "a rejection", 401, "Not allowed", query="mood=strict"),
    Fault(8, "a bug in connect", 500, "failed to decide", query="mood=broken"),
    Fault(9, "a long room id", 400, "room_id", query=f"room={'r' * 256}"),
    Fault(10, "a bad count", 400, "received must be", query="received=many"),
    Fault(11, "a resume of nothing", 410, "is gone", query="resume=true"),
    Fault(12, "an id in use", 409, "in use", opens="u1"),
    Fault(13, "a full hub", 503, "as many sessions", opens="somebody else"),
]

EXCLUSIVE = [
    (5, 6),  # without the headers there is no handshake to be malformed
    (5, 11),  # a plain GET with resume=true is a preflight, and welcome
    (11, 12),  # the one is about resuming, the other about not resuming
]


def visits(*faults: Fault) -> list[Any]:
    """Each way in that the faults can be met at: a view has no ``connect``."""
    kinds = HUB_SERVERS[:1] if any(fault.row == 8 for fault in faults) else HUB_SERVERS
    name = " before ".join(fault.name for fault in faults)
    return [pytest.param(kind, *faults, id=f"{name}, {kind}") for kind in kinds]


PAIRS = [
    visit
    for first, second in combinations(FAULTS, 2)
    if first.row != second.row and (first.row, second.row) not in EXCLUSIVE
    for visit in visits(first, second)
]


def meet(hub_servers: Callable[..., HubServer], kind: str, *faults: Fault) -> tuple[int, str]:
    """The answer to a request with all of these faults: status and body."""
    opens = [fault.opens for fault in faults if fault.opens]
    hub_server = hub_servers(kind, moody, on_duplicate="reject", max_sessions=len(opens) or 10)
    for connection_id in opens:
        hub_server.open(connection_id.replace(" ", "+"))
    query, headers, method = "id=u1", Headers(), "GET"
    for fault in faults:
        query += f"&{fault.query}"
        headers |= fault.headers
        method = fault.method if method == "GET" else method
    for fault in reversed(faults):
        fault.prepare(hub_server)
    reply = hub_server.ask(query, headers, method)
    assert reply.header("Cache-Control") == "no-store"
    return reply.status, reply.body.decode()


@pytest.mark.contract(
    "A.501", "A.503", "A.405", "A.426", "A.400-handshake", "A.426-version", "A.403", "A.http-exception"
)
@pytest.mark.contract(
    "A.400-twice", "A.401", "A.500", "A.400-ids", "A.400-received", "A.410", "A.409", "A.503-max"
)
@pytest.mark.parametrize("kind, fault", [visit for fault in FAULTS for visit in visits(fault)])
def test_each_fault_by_itself_has_its_own_answer(
    hub_servers: Callable[..., HubServer], kind: str, fault: Fault
) -> None:
    """Whatever is wrong, the status says what it is."""
    status, body = meet(hub_servers, kind, fault)

    assert status == fault.status
    assert fault.says in body


@pytest.mark.contract("A.501", "A.503", "A.405", "A.426", "A.400-handshake", "A.426-version", "A.403")
@pytest.mark.contract("A.http-exception", "A.401", "A.500", "A.400-ids", "A.400-received", "A.410", "A.409")
@pytest.mark.contract("A.400-twice")
@pytest.mark.parametrize("kind, first, second", PAIRS)
def test_of_two_faults_the_earlier_row_answers(
    hub_servers: Callable[..., HubServer], kind: str, first: Fault, second: Fault
) -> None:
    """A client that corrects what it was told of meets the next fault, and never the same one twice."""
    status, body = meet(hub_servers, kind, first, second)

    assert status == first.status
    assert first.says in body
