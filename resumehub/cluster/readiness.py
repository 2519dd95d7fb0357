"""Whether a process of a cluster serves upgrades now, and where the hub is: what ``hub.ready()`` gives.

It asks no other process, and waits for nothing. Any thread. Read next: ``member.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..core.cluster.membership import Role
from ..core.drain import Drain
from ..server.hub_runner import HubRunner
from .dials.dial_client import DialClient
from .member_loop import MemberLoop
from .member_parts import Here
from .whereabouts import Whereabouts, is_over


@dataclass(frozen=True, slots=True)
class Readiness:
    """What ``hub.ready()`` is with a cluster; it is true where ``serving`` is.

    ``serving``: whether an upgrade would be served now, here or by the hub's process; it stays true while the
    hub moves. ``hub_here``: whether this process holds the hub. ``draining``: whether it is told to stop, or
    the hub is drained.
    ``detail``: a few words for people, with the process that holds the hub, and since when.
    """

    serving: bool
    hub_here: bool
    draining: bool
    detail: str

    def __bool__(self) -> bool:
        return self.serving


_UNDER_WAY: Final = (Role.LOOKING, Role.HEIR, Role.ADOPTING, Role.RECEIVING, Role.TAKING, Role.MOVING)


def look(
    runner: HubRunner,
    loop: MemberLoop | None,
    whereabouts: Whereabouts,
    dials: DialClient,
    holder: int,
    failed: str,
) -> Readiness:
    """How it is now. ``holder``: the process that held the hub last; ``failed``: why this one can't start."""
    place = whereabouts.place
    here = isinstance(place, Here)
    if failed:
        return Readiness(False, False, False, failed)
    if loop is None:
        return Readiness(not runner.closed, False, False, "it has not started: no upgrade has come yet")
    if loop.draining:
        return Readiness(False, here, True, "this process is told to stop")
    if here:
        served = runner.ready()
        detail = f"this process has held the hub for {whereabouts.age:.0f} s"
        return Readiness(served, True, False, detail if served else "a thread that the hub needs has died")
    if dials.suspect:
        detail = f"process {holder}, which holds the hub, has not answered for {dials.silent_for:.1f} s"
        return Readiness(False, False, False, detail)
    age = f"{whereabouts.age:.0f} s"
    if place is not None and not is_over(place):
        detail = f"process {holder} holds the hub, and there has been a link to it for {age}"
        return Readiness(True, False, False, detail)
    under_way = loop.role in _UNDER_WAY
    detail = "the hub is on its way" if under_way else whereabouts.why
    return Readiness(
        under_way, False, False, f"no process has been known to hold the hub for {age}: {detail}"
    )


def drained(ready: Readiness, drain: Drain) -> Readiness:
    """The same of a hub that refuses these: it takes no new session, so nobody new should be sent here."""
    if drain is Drain.NONE or not ready.serving:
        return ready
    return Readiness(False, ready.hub_here, True, f"the hub is drained ({drain.value} are refused)")


def role_name(role: Role) -> str:
    """See ``Stats.role``."""
    if role in (Role.HUB, Role.MOVING, Role.PARKING):
        return "hub"
    if role in (Role.IDLE, Role.GONE):
        return "outside"
    return "worker" if role is Role.WORKER else "starting"
