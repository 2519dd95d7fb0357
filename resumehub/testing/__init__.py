"""The public testing kit: clocks that a test moves, a WebSocket client for WSGI apps, the race lab and
its explorer, and a transport in memory whose peer is a script.

Nothing else in the package imports it, but for the helpers of extensions (``contrib/``).
Begin with ``clocks.py`` and ``client.py`` (``FakeClock``, ``connect``), then ``lab.py`` and ``explorer.py``.
Threads: the test's own; in the lab, one at a time. A name is imported when it is first used, so that
``plugin.py``, which every run of pytest loads, costs nothing where the kit is not used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import WebSocketClient, connect
    from .clocks import FakeClock, FreezegunClock
    from .cluster_checks import WaitsForTheCluster
    from .explorer import Explored, ScheduleFailed, explore
    from .handshake import NothingReceived, TransportClosed, UpgradeRefused
    from .lab import SEAMS, Lab
    from .lab_checks import CallbackOrder
    from .memory import MemoryTransport, memory_pair
    from .memory_cluster import MemoryCluster
    from .memory_peers import ClusterPeer
    from .memory_process import Process
    from .peers import Knock, Peer
    from .scheduler import Hold
    from .scripted_peer import ScriptedPeer
    from .session_client import SessionClient, open_session
    from .strategies import PCT, Deepening, Exhaustive, Random, Replay, Uncontrolled
    from .tasks import Deadlock, Livelock, OutOfControl, Step
    from .wire import WireFrame, client_frame

__all__ = [
    "PCT",
    "SEAMS",
    "CallbackOrder",
    "ClusterPeer",
    "Deadlock",
    "Deepening",
    "Exhaustive",
    "Explored",
    "FakeClock",
    "FreezegunClock",
    "Hold",
    "Knock",
    "Lab",
    "Livelock",
    "MemoryCluster",
    "MemoryTransport",
    "NothingReceived",
    "OutOfControl",
    "Peer",
    "Process",
    "Random",
    "Replay",
    "ScheduleFailed",
    "ScriptedPeer",
    "SessionClient",
    "Step",
    "TransportClosed",
    "Uncontrolled",
    "UpgradeRefused",
    "WaitsForTheCluster",
    "WebSocketClient",
    "WireFrame",
    "client_frame",
    "connect",
    "explore",
    "memory_pair",
    "open_session",
]

_HOMES = {
    "client": "WebSocketClient connect",
    "clocks": "FakeClock FreezegunClock",
    "cluster_checks": "WaitsForTheCluster",
    "explorer": "Explored ScheduleFailed explore",
    "handshake": "NothingReceived TransportClosed UpgradeRefused",
    "lab": "SEAMS Lab",
    "lab_checks": "CallbackOrder",
    "memory": "MemoryTransport memory_pair",
    "memory_cluster": "MemoryCluster",
    "memory_peers": "ClusterPeer",
    "memory_process": "Process",
    "peers": "Knock Peer",
    "scheduler": "Hold",
    "scripted_peer": "ScriptedPeer",
    "session_client": "SessionClient open_session",
    "strategies": "PCT Deepening Exhaustive Random Replay Uncontrolled",
    "tasks": "Deadlock Livelock OutOfControl Step",
    "wire": "WireFrame client_frame",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
