"""``HubParts``: what a hub is made of, whether it runs or not. Values and parts; it does nothing.

``HubRunner`` is one, and gives itself to each ``HubLoop`` that it starts. Read next: ``hub_runner.py``,
``hub_loop.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..clock import Clock
from ..codec import Codec
from ..config import Config
from ..metrics import Metrics
from ..runtime.base import Runtime
from ..session.recorder import Recorder
from ..spans import Spans
from ..trace import Trace
from .refusal_reports import RefusalReports


@dataclass(eq=False, repr=False)
class HubParts:
    """What a hub is made of, whether it runs or not."""

    config: Config
    codec: Codec
    metrics: Metrics
    clock: Clock
    runtime: Runtime
    #: Hook → its handlers; a change is seen from the next callback on.
    handlers: dict[str, tuple[Callable[..., Any], ...]]
    trace: Trace | None
    spans: Spans | None
    refusals: RefusalReports = field(init=False)
    #: Keeps what happens to each session, for the inspector; None: nobody may look.
    recorder: Recorder | None = field(init=False, default=None)
    #: What the handlers of on_start and on_stop get.
    owner: Any = field(init=False, default=None)
    #: Whether somebody else sees to it when the process ends (``cluster/member_loop.py``).
    governed: bool = field(init=False, default=False)
