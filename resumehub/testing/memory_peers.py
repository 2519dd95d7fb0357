"""Clients of a ``MemoryCluster``: a request is answered on a thread of the process to which it comes.

The client's end belongs to the world outside, the server's end to the process: if that is killed, the client
sees the end of its connection. A worker may write a plain 503 on it, which is ``UpgradeRefused`` here, too.
Made by ``Process.dial``. Read next: ``peers.py``.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any

from .client import WebSocketClient
from .handshake import Headers, TransportClosed, UpgradeRefused, UpgradeRequest, socket_pair
from .peers import Peer

if TYPE_CHECKING:
    from .memory_cluster import MemoryCluster
    from .memory_process import Process


class Request:
    """An upgrade request. ``ours``, ``theirs``: the two ends of its connection."""

    def __init__(self, url: str, name: str, how: dict[str, Any]) -> None:
        self.name = name
        self.ours, self.theirs = socket_pair(tcp=False, buffer=None)
        self._request = UpgradeRequest(
            url,
            how.get("headers", ()),
            how.get("cookies"),
            list(how.get("subprotocols", ())),
            how.get("extensions"),
            how.get("environ") or {},
        )
        self.refused: UpgradeRefused | None = None

    def ask(self, app: Any) -> None:
        """On a thread of the process."""
        try:
            self._request.ask(app, self.theirs)
        except UpgradeRefused as refused:
            self.refused = refused
        self.theirs.close()

    def has_answer(self) -> bool:
        """Whether the client has something to read, or its request was refused."""
        poller = select.poll()
        poller.register(self.ours, select.POLLIN)
        return self.refused is not None or bool(poller.poll(0))


class ClusterPeer(Peer):
    """The client's end of one WebSocket; see ``Peer``. ``process``: where it has come."""

    def __init__(
        self, cluster: MemoryCluster, process: Process, url: str, name: str, how: dict[str, Any]
    ) -> None:
        self._lab = cluster
        self._cluster = cluster
        self.process = process
        self.name = name
        request = Request(url, name, how)
        cluster.host.own(None, request.ours)
        process.ask(request)
        try:
            headers, behind = self._answer(request)
        except BaseException:
            request.ours.close()
            raise
        self.ws = WebSocketClient(None, url, how, request.ours, headers, self._wait, self._push)
        if behind:
            self.ws.feed(behind)

    def resume_at(self, process: Process, **query: str) -> ClusterPeer:
        """Dial again with ``resume=true``, at that process. Raises: as ``Process.dial``."""
        return process.dial(self.ws.resume_url(**query), name=self.name, **self.ws.options)

    def resume(self, **query: str) -> Peer:
        """The same at the process where it was before."""
        return self.resume_at(self.process, **query)

    def _answer(self, request: Request) -> tuple[Headers, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            self._cluster.scheduler.pause(f"see {self.name} answered", request.has_answer)
            if request.refused is not None:
                raise request.refused
            try:
                more = request.ours.recv(65536, socket.MSG_DONTWAIT)
            except OSError:
                more = b""
            if not more:
                raise TransportClosed(1006, "")
            data += more
        head, _, behind = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        status = int(first.split()[1])
        if status != 101:
            raise UpgradeRefused(status, headers, behind)
        return headers, behind
