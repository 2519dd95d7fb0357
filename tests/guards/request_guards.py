"""The guards of requests, in either direction: who answers, and who is told (contract E3)."""

from __future__ import annotations

from tests.guards import request_scenes
from tests.guards.shell_guard import ShellGuard

GUARDS = (
    ShellGuard(
        "a request has one answer",
        "session/answering.py",
        "    if not session.client_requests.is_open(request):\n        raise",
        "    if False:\n        raise",
        "Two threads would answer one request, and the client take the second answer for another one's.",
        says="the client hears 2 answers to one request",
        scene=request_scenes.two_answers,
        replay="x",
    ),
    ShellGuard(
        "the end of a session wakes who waits for its client",
        "session/session.py",
        "        for asked, error in unheard:\n            asked.ended(error)",
        "        for _, _ in unheard:\n            pass",
        "A thread that asks without a timeout would wait for ever.",
        says="asker never ends: it is about to wait for an answer to a request",
        scene=request_scenes.a_request_and_a_kick,
        replay="x",
    ),
)
