"""Dials at a real worker while the process that holds the hub is stopped, goes on, or is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections import Counter
from functools import partial

import pytest

from resumehub.clock import now
from tests.cluster.gate import until
from tests.cluster.harness import Cluster, Setup
from tests.contract.raw_client import HANDSHAKE, head
from tests.support import Call

DIALS = 30
AT_ONCE = 8

NONE_STAYS = {"resume_window": 0.0}
"""A session ends with its connection, so that none is parked at the end."""


def ask(sock: socket.socket, name: str, more: str = "") -> bytes:
    """Dial on this connection, close it, and give what came first."""
    with sock:
        sock.settimeout(60)
        sock.sendall(head("GET", f"/ws?name={name}{more}", HANDSHAKE))
        with contextlib.suppress(ConnectionError):
            return sock.recv(65536)
        return b"reset"


def open_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize(("server", "longest"), [("gthread", 2.0), ("sync", 0.25)])
def test_a_stopped_hub_costs_one_wait_and_then_none(server: str, longest: float) -> None:
    """Clients are told 503 at other workers, at once from the second one on, until the hub goes on."""
    # The connections wait for one another's answers: gunicorn would end them after two seconds.
    patient = ("--keep-alive", "60")
    setup = Setup(server=server, threads=8, timeout=120, hub=NONE_STAYS, arguments=patient)
    with Cluster(setup) as cluster:
        cluster.wait_until_serving()
        hub, other = cluster.hub_pid(), cluster.other_worker()
        assert hub is not None
        until(partial(_is_let_in, cluster, other), "the other worker to have its link")
        socks = [cluster.socket_at(other) for _ in range(3 if server == "gthread" else 1)]
        cluster.signal(hub, signal.SIGSTOP)
        try:
            begun = now()
            answers = [ask(sock, f"n{number}", "&reject=close") for number, sock in enumerate(socks)]
            assert now() - begun >= longest
        finally:
            cluster.signal(hub, signal.SIGCONT)
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in answers), answers
        assert all(b"\r\nRetry-After: 5\r\n" in answer for answer in answers), answers
        until(partial(_is_let_in, cluster, other), "the hub to take dials again")
        until(
            lambda: len(list(cluster.journal.notes("connect"))) > 1,
            "its on_connect, which comes behind the 101",
        )
        # Nobody who was told 503 has a session.
        assert [note.words[0] for note in cluster.journal.notes("connect")] == ["again"] * 2


def test_a_hub_that_is_killed_under_dials_answers_each_of_them_whole_or_not_at_all() -> None:
    """101 or 503, or the end of the connection without a byte; then the next hub serves."""
    with Cluster(Setup(workers=3, threads=8, hub=NONE_STAYS)) as cluster:
        cluster.wait_until_serving()
        hub = cluster.hub_pid()
        assert hub is not None
        others = [pid for pid in cluster.workers() if pid != hub]
        before = {pid: open_descriptors(pid) for pid in others}
        under_way = threading.Barrier(AT_ONCE + 1)

        def dial_on(number: int) -> list[str]:
            kinds = []
            for again in range(DIALS):
                if again == 3:
                    under_way.wait(60)
                kinds.append(_kind(ask(cluster.server.connect(), f"k{number}-{again}")))
            return kinds

        dialling = [Call(partial(dial_on, number)) for number in range(AT_ONCE)]
        under_way.wait(60)
        cluster.signal(hub, signal.SIGKILL)
        told = Counter(kind for call in dialling for kind in call.result())
        assert set(told) <= {"101", "503", "nothing"}
        cluster.wait_until_serving()
        for pid in others:
            until(partial(_is_let_in, cluster, pid), "the next hub to take dials")
            if pid != cluster.hub_pid():
                until(partial(_has_at_most, pid, before[pid] + 8), "the copies to be closed")


def _is_let_in(cluster: Cluster, pid: int) -> bool:
    return cluster.knock_at(pid, "/ws?name=again") == 101


def _has_at_most(pid: int, descriptors: int) -> bool:
    return open_descriptors(pid) <= descriptors


def _kind(answer: bytes) -> str:
    if answer in (b"", b"reset"):
        return "nothing"
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    return answer[9:12].decode()
