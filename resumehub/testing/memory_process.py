"""One process of a ``MemoryCluster``: a hub, its member, its threads. It can be killed, stopped and thawed.

All that runs in it runs on tasks that belong to it: its own threads, requests that come to it (``dial``), and
actors of the application (``actor``). A process that is killed stands still for ever, at the step where it
was; its descriptors are closed and its locks are free. Made by ``MemoryCluster.process``; one thread at a
time. Read next: ``memory_cluster.py``, ``memory_ground.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..cluster.local import LocalCluster
from ..cluster.member_loop import MemberLoop
from ..core.cluster.membership import Role
from ..hub import Hub
from .controlled import ControlledRuntime
from .lab_checks import CallbackCheck
from .memory_ground import MemoryGround
from .memory_peers import ClusterPeer, Request
from .tasks import Task

if TYPE_CHECKING:
    from .memory_cluster import MemoryCluster

ResultT = TypeVar("ResultT")

_KILLED: Final = "killed"
_STOPPED: Final = "stopped"


class ProcessRuntime(ControlledRuntime):
    """The threads of one process. Their names say whose they are: "hub of one"."""

    def __init__(self, process: Process, *, stop_at_locks: bool) -> None:
        super().__init__(process.cluster.scheduler, stop_at_locks=stop_at_locks, share=True)
        self._process = process

    def begin(self, name: str, run: Callable[[], None]) -> Task:
        """Start a task of the process."""
        task = self._scheduler.spawn(f"{name.removeprefix('resumehub-')} of {self._process.name}", run)
        task.process = self._process
        return task

    def _begin(self, name: str, run: Callable[[], None]) -> Task:
        return self.begin(name, run)

    def now(self) -> float:
        return self._process.cluster.time

    def wait_for_greeting(self, is_over: Callable[[], bool], seconds: float) -> None:
        """For the member, when it connects."""
        self._scheduler.pause("wait for a greeting", is_over, timed=True, seconds=seconds)


class Process:
    """See the module. Made by ``MemoryCluster.process``.

    ``hub``: the real one, with ``cluster=``. ``pid``: made up; later processes have greater ones.
    """

    def __init__(
        self,
        cluster: MemoryCluster,
        name: str,
        pid: int,
        connect: Callable[..., Any],
        options: dict[str, Any],
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.pid = pid
        #: Set it, and the process gets none of the descriptors that are sent to it.
        self.out_of_descriptors = False
        #: Whether it was told to stop.
        self.told = False
        #: Why none of its threads goes on now; "" where they do.
        self.stands_still = ""
        self.runtime = ProcessRuntime(self, stop_at_locks=cluster.runtime.stop_at_locks)
        self.hub = Hub(
            connect,
            cluster=LocalCluster(f"{cluster.host.folder.path}/{name}"),
            clock=cluster.cluster_clock,
            _runtime=self.runtime,
            _ground=MemoryGround(cluster.host, self),
            **options,
        )
        assert self.hub.member is not None, "it has a cluster"
        self.hub.member.process = f"{pid:032x}"  # a random one would be seen in traces
        #: What a request goes to; set it if a WSGI application mounts the hub.
        self.app: Any = self.hub
        self._check: CallbackCheck | None = None

    def __repr__(self) -> str:
        return f"<process {self.name}>"

    # -- what it is -------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether it was not killed."""
        return self.stands_still != _KILLED

    @property
    def loop(self) -> MemberLoop | None:
        """The member's, once the process takes part."""
        assert self.hub.member is not None, "it has a cluster"
        return self.hub.member.loop

    @property
    def role(self) -> Role:
        """What it is in its cluster."""
        return self.loop.role if self.loop is not None else Role.IDLE

    @property
    def has_hub(self) -> bool:
        """Whether it is alive, and the hub is here, and not on its way."""
        return self.is_alive and self.role is Role.HUB and self.hub.ready().hub_here  # type: ignore[union-attr]

    # -- what it does -----------------------------------------------------------------------

    def start(self) -> None:
        """Take part in the cluster from now on. Waits (in lab time) for its folder."""
        self._check = CallbackCheck(self.hub, self.cluster.scheduler, self.cluster.seen)
        self.run("start", self.hub.start)

    def run(self, name: str, function: Callable[[], ResultT]) -> ResultT:
        """Run it on a thread of this process, and wait (in lab time) for it. Raises: what it raises.

        RuntimeError if the process is killed first.
        """
        results: list[ResultT] = []
        errors: list[Exception] = []

        def body() -> None:
            try:
                results.append(function())
            except Exception as error:
                errors.append(error)

        task = self.runtime.begin(name, body)
        self.cluster.scheduler.pause(
            f"wait for {task.name}", lambda: task.done or not self.is_alive, seconds=60.0, timed=True
        )
        if errors:
            raise errors[0]
        if not results:
            raise RuntimeError(f"{task.name} has not ended: {task.position()}")
        return results[0]

    def actor(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Decorator: a thread of the application in this process, with which it dies; see ``Lab.actor``."""
        return self.cluster.add_actor(function, self)

    def dial(self, url: str = "/", *, name: str | None = None, **how: Any) -> ClusterPeer:
        """A client comes to this process. Waits (in lab time) for the answer.

        Raises: UpgradeRefused with the status; TransportClosed where the connection ends without a byte.
        """
        return self.cluster.dial_at(self, url, name, how)

    def ask(self, request: Request) -> Task:
        """Have a request thread of this process answer. For ``ClusterPeer``."""
        self.cluster.host.own(self, request.theirs)
        return self.runtime.begin(f"request of {request.name}", lambda: request.ask(self.app))

    # -- what befalls it --------------------------------------------------------------------

    def kill(self) -> None:
        """As SIGKILL does, between two steps of its threads."""
        if not self.is_alive:
            return
        self.cluster.scheduler.did(f"kill {self.name}")
        self.stands_still = _KILLED
        self.cluster.seen.forget(self)
        self.cluster.host.is_gone(self)
        self.cluster.deaths += 1

    def stop(self) -> None:
        """As SIGSTOP does: none of its threads goes on until ``thaw``. Its locks and sockets stay its own."""
        if self.is_alive:
            self.cluster.scheduler.did(f"stop {self.name}")
            self.stands_still = _STOPPED

    def thaw(self) -> None:
        """As SIGCONT does."""
        if self.is_alive:
            self.cluster.scheduler.did(f"thaw {self.name}")
            self.stands_still = ""

    def tell_to_stop(self, seconds: float = 10.0) -> None:
        """As SIGTERM does: it has so many seconds to move its hub, or to park it. Never waits."""
        self.cluster.scheduler.did(f"tell {self.name} to stop")
        self.told = True
        if self.loop is not None:
            self.loop.stop(seconds, f"{self.name} is told to stop")

    # -- for the cluster --------------------------------------------------------------------

    @property
    def failure(self) -> BaseException | None:
        """What went wrong in its callbacks."""
        return self._check.failure if self._check is not None else None

    def leave_nothing(self) -> None:
        """At the end of the run: close what its threads have left open. None of them runs any more."""
        self.hub.runner.closed = True
        self.hub.runner.after_fork_in_child()
