"""An inspector's questions in a process of a cluster: answered here, or by the process that holds the hub.

A hub of release 0.2.0 does not know them, and would end the link: it is not asked. Threads: request threads.
Blocks: until the hub has answered. Read next: ``member_calls.py``, ``../../server/looking.py``.
"""

from __future__ import annotations

from ...errors import HubUnavailable
from ...server.looking import answer
from ...server.looks import Question, Report
from ..member import Member
from ..member_parts import Linked
from .call_bodies import InspectCall, Inspected, Raised
from .call_errors import error_of


def inspect(member: Member, question: Question) -> Report:
    """The answer of the hub, wherever it is.

    Raises: HubUnavailable where none answers, or one of release 0.2.0 would have to; HubClosed.
    """
    runner, calls = member.runner, member.calls

    def there() -> Report:
        place = member.place() if member.started else calls.line.place()
        if isinstance(place, Linked) and not place.link.peer.inspects:
            raise HubUnavailable(
                False, "its process is of release 0.2.0, which answers no inspector: end the reload first"
            )
        result = calls.client.call(InspectCall(question))
        if isinstance(result, Raised):
            raise error_of(result)
        if not isinstance(result, Inspected):
            raise RuntimeError(f"an inspector is answered with a {type(result).__name__}")
        return result.report

    return calls.anywhere(lambda: answer(runner, question), there)
