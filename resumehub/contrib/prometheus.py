"""Prometheus: a metrics collector, what the hub holds as gauges, and ``/metrics``.

Install it with ``pip install 'resumehub[prometheus]'``; nothing else of resumehub imports prometheus_client.
``PrometheusMetrics`` is given to ``Hub(metrics=…)``: it counts what happens in this process. What the hub
holds is asked when Prometheus asks (``hub.stats()``), so it is right whichever process answers. Where
``PROMETHEUS_MULTIPROC_DIR`` is set, as for several workers of gunicorn, the counts of all processes are added
up, as prometheus_client does it. No label has the name of a room, a user or a session, so the number of
series does not grow.

Threads: any. Read next: ``../metrics_methods.py``, docs/howto/prometheus.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector
except ImportError as error:
    raise ImportError(
        "resumehub.contrib.prometheus needs prometheus_client: pip install 'resumehub[prometheus]'"
    ) from error
from werkzeug.wrappers import Response

from ..errors import ResumeHubError
from ..hooks import ALL_HOOKS
from ..hub import Hub
from ..metrics import (
    OUTCOMES_ASKED,
    OUTCOMES_OF_CLIENTS,
    REASONS_CLOSED,
    REASONS_DROPPED,
    REASONS_REFUSED,
    NoopMetrics,
)
from ..stats import Stats

_QUICK: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_PAUSES: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ABSENCES: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_LIVES: Final = (1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 14400.0, 86400.0)
# In seconds: bounds of the buckets.

_add_up: Final[Callable[[CollectorRegistry], object]] = MultiProcessCollector
# It registers itself.


class PrometheusMetrics(NoopMetrics):
    """A collector for ``Hub(metrics=…)``, and ``/metrics`` for its application.

    Next: ``app.wsgi_app = metrics.serve(hub, app.wsgi_app)``. ``registry``: where the metrics are registered;
    another one for a second hub in one process. ``namespace``: what their names begin with.

    Raises: ValueError, of prometheus_client, for a second collector in one registry. Threads: any. Blocks:
    never.
    """

    def __init__(self, *, registry: CollectorRegistry = REGISTRY, namespace: str = "resumehub") -> None:
        self._registry = registry
        self._namespace = namespace
        self._opened = self._counter("sessions_opened", "Sessions that began.")
        self._closed = self._counter("sessions_closed", "Sessions that ended.", reason=REASONS_CLOSED)
        self._lives = self._histogram("session_duration_seconds", "Lives of sessions that ended.", _LIVES)
        self._resumes = self._counter(
            "resume_attempts", "Clients that asked for their session.", outcome=("success", "failure")
        )
        self._delays = self._histogram(
            "resume_delay_seconds", "From a socket to its resumed session.", _PAUSES
        )
        self._suspended = self._histogram(
            "suspended_seconds",
            "For how long sessions had no transport, when that ended.",
            _ABSENCES,
            outcome=("resumed", "ended"),
        )
        self._rooms_created = self._counter("rooms_created", "Rooms that got their first session.")
        self._rooms_destroyed = self._counter("rooms_destroyed", "Rooms that lost their last session.")
        self._received = self._counter("messages_received", "Messages of clients that were handled.")
        self._received_bytes = self._counter("received_bytes", "Their encoded size.")
        self._sent = self._counter("messages_sent", "Frames that were written, once for each receiver.")
        self._sent_bytes = self._counter("sent_bytes", "Their encoded size, before compression.")
        self._broadcasts = self._counter("broadcasts", "Broadcasts, once for each room.")
        self._broadcast_bytes = self._counter("broadcast_bytes", "Their encoded size, once for each room.")
        self._recipients = self._counter("broadcast_recipients", "Sessions that broadcasts were queued for.")
        self._dropped = self._counter(
            "messages_dropped", "Accepted frames that were dropped, by reason.", reason=REASONS_DROPPED
        )
        self._heartbeats = self._counter("heartbeat_failures", "Peers that stopped answering.")
        self._superseded = self._counter(
            "transports_superseded", "Resumes that took over a session whose transport looked alive."
        )
        self._refused = self._counter(
            "upgrades_refused", "Clients that got no session, by reason.", reason=REASONS_REFUSED
        )
        self._paused = self._counter("reading_pauses", "Pauses in reading a client that sent too fast.")
        self._asked = self._counter("requests_asked", "Requests to clients.")
        self._settled = self._counter(
            "requests_settled", "Requests to clients that are over, by outcome.", outcome=OUTCOMES_ASKED
        )
        self._taken = self._counter("client_requests_taken", "Requests of clients.")
        self._client_settled = self._counter(
            "client_requests_settled",
            "Requests of clients that are over, by outcome.",
            outcome=OUTCOMES_OF_CLIENTS,
        )
        self._waits = self._histogram(
            "hub_command_wait_seconds",
            "How long commands were in the hub's queue.",
            _QUICK,
        )
        self._callbacks = self._histogram(
            "callback_duration_seconds", "How long the handlers of a hook ran.", _QUICK, hook=tuple(ALL_HOOKS)
        )
        self._stalls = self._histogram(
            "write_stall_seconds", "How long clients took no bytes, when they took some again.", _PAUSES
        )
        self._make_those_of_clusters()

    def _make_those_of_clusters(self) -> None:
        self._moved = self._counter(
            "sessions_moved", "Sessions that came to a process or left it alive.", direction=("in", "out")
        )
        self._moves = self._counter(
            "hub_moves", "Moves of the hub, as a process saw them.", result=("in", "out", "failed")
        )
        self._releases = self._histogram(
            "hub_move_release_seconds", "Until handlers had come to an end, while all else went on.", _PAUSES
        )
        self._freezes = self._histogram(
            "hub_move_freeze_seconds", "From when everything stood still until the commit.", _PAUSES
        )
        self._adoptions = self._histogram(
            "hub_move_adoption_seconds", "From the commit until all sessions went on.", _PAUSES
        )
        self._carried = self._counter("sessions_carried", "Sessions that moved while a handler ran.")
        self._parked = self._counter("sessions_parked", "Sessions that were written down at a stop.")
        self._not_parked = self._counter("sessions_not_parked", "Sessions that could not be.")
        self._takeovers = self._counter("hub_takeovers", "Hubs that no process held, and that were taken.")
        self._adopted = self._counter("sessions_adopted", "Parked sessions that go on.")
        self._not_adopted = self._counter("sessions_not_adopted", "Parked sessions that could not.")
        self._calls = self._histogram(
            "call_duration_seconds", "Calls of the hub in another process.", _PAUSES, answered=("yes", "no")
        )
        self._calling = Gauge(
            "calls_in_progress",
            "Threads that wait for the hub in another process.",
            namespace=self._namespace,
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._silences = self._counter("hub_silences", "How often the hub's process did not answer in time.")
        self._silent = self._counter("hub_silent_seconds", "For how long, of all that are over.")

    def _counter(self, name: str, text: str, **labels: tuple[str, ...]) -> Counter:
        made = Counter(name, text, tuple(labels), namespace=self._namespace, registry=self._registry)
        for label, values in labels.items():
            for value in values:
                made.labels(**{label: value})  # so that each series is there, with 0, from the beginning
        return made

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], **labels: tuple[str, ...]
    ) -> Histogram:
        made = Histogram(
            name, text, tuple(labels), namespace=self._namespace, registry=self._registry, buckets=buckets
        )
        for label, values in labels.items():
            for value in values:
                made.labels(**{label: value})
        return made

    # -- /metrics ---------------------------------------------------------------------------

    def serve(
        self,
        hub: Hub,
        app: Callable[[dict[str, Any], Any], Iterable[bytes]] | None = None,
        *,
        path: str = "/metrics",
    ) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
        """A WSGI application that answers ``path``, and gives all other paths to ``app`` (without one: 404).

        It gives all that is in the registry, and what ``hub`` holds. Raises: ValueError for a path without a
        slash in front. Threads: any. Blocks: with a cluster, until the hub's process has answered.
        """
        if not path.startswith("/"):
            raise ValueError(f'path is {path!r}: it must begin with "/"')

        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if environ.get("PATH_INFO") == path:
                return self.exposition(hub, environ.get("HTTP_ACCEPT", ""))(environ, start_response)
            if app is not None:
                return app(environ, start_response)
            return Response("not found\n", 404)(environ, start_response)

        return answer

    def exposition(self, hub: Hub, accept: str = "") -> Response:
        """The same for a view of one's own. ``accept``: the header, which chooses the format."""
        encode, content_type = choose_encoder(accept)
        return Response(encode(_Both(self._source(), self._gauges(hub))), content_type=content_type)

    def _source(self) -> Any:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        together = CollectorRegistry()
        _add_up(together)
        return together

    def _gauges(self, hub: Hub) -> Iterator[Any]:
        """What the hub holds, as it is now."""
        name = f"{self._namespace}_"
        ready, stats = bool(hub.ready()), None
        try:
            # A hub whose process is silent is not waited for.
            stats = hub.stats() if ready or hub.member is None or hub.health().draining else None
        except ResumeHubError:
            pass
        yield GaugeMetricFamily(f"{name}ready", "1: this process would serve a new client.", int(ready))
        yield GaugeMetricFamily(
            f"{name}hub_reachable", "1: what the hub holds is known, and is told.", int(stats is not None)
        )
        if stats is None:
            return
        sessions = GaugeMetricFamily(f"{name}sessions", "Sessions that exist, by state.", labels=["state"])
        sessions.add_metric(["connected"], stats.connected)
        sessions.add_metric(["suspended"], stats.suspended)
        yield sessions
        draining = int(bool(stats.draining))
        yield GaugeMetricFamily(f"{name}draining", "1: the hub takes no new session.", draining)
        for field, called, text in _GAUGES:
            yield GaugeMetricFamily(name + called, text, getattr(stats, field))

    # -- the collector ----------------------------------------------------------------------

    def connection_opened(self, room_id: str, connection_id: str, /) -> None:
        self._opened.inc()

    def connection_closed(self, room_id: str, connection_id: str, duration: float, reason: str, /) -> None:
        self._closed.labels(reason).inc()
        self._lives.observe(duration)

    def resume_attempt(self, room_id: str, connection_id: str, success: bool, /) -> None:
        self._resumes.labels("success" if success else "failure").inc()

    def resume_served(self, room_id: str, connection_id: str, delay: float, /) -> None:
        self._delays.observe(delay)

    def suspension_ended(self, room_id: str, connection_id: str, duration: float, resumed: bool, /) -> None:
        self._suspended.labels("resumed" if resumed else "ended").observe(duration)

    def room_created(self, room_id: str, /) -> None:
        self._rooms_created.inc()

    def room_destroyed(self, room_id: str, /) -> None:
        self._rooms_destroyed.inc()

    def message_received(self, room_id: str, size: int, /) -> None:
        self._received.inc()
        self._received_bytes.inc(size)

    def message_sent(self, room_id: str, connection_id: str, size: int, /) -> None:
        self._sent.inc()
        self._sent_bytes.inc(size)

    def message_broadcast(self, room_id: str, size: int, recipients: int, /) -> None:
        self._broadcasts.inc()
        self._broadcast_bytes.inc(size)
        self._recipients.inc(recipients)

    def message_dropped(self, room_id: str, connection_id: str, reason: str, /) -> None:
        self._dropped.labels(reason).inc()

    def heartbeat_failed(self, room_id: str, connection_id: str, /) -> None:
        self._heartbeats.inc()

    def transport_superseded(self, room_id: str, connection_id: str, /) -> None:
        self._superseded.inc()

    def upgrade_refused(self, status: int, reason: str, /) -> None:
        self._refused.labels(reason).inc()

    def reading_paused(self, room_id: str, connection_id: str, duration: float, /) -> None:
        self._paused.inc()

    def request_asked(self, room_id: str, connection_id: str, /) -> None:
        self._asked.inc()

    def request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        self._settled.labels(outcome).inc()

    def client_request_taken(self, room_id: str, connection_id: str, /) -> None:
        self._taken.inc()

    def client_request_settled(self, room_id: str, connection_id: str, outcome: str, /) -> None:
        self._client_settled.labels(outcome).inc()

    def command_waited(self, duration: float, /) -> None:
        self._waits.observe(duration)

    def callback_ended(self, room_id: str, connection_id: str, hook: str, duration: float, /) -> None:
        self._callbacks.labels(hook).observe(duration)

    def write_stall_ended(self, room_id: str, connection_id: str, duration: float, /) -> None:
        self._stalls.observe(duration)

    def connection_moved_in(self, room_id: str, connection_id: str, /) -> None:
        self._moved.labels("in").inc()

    def connection_moved_out(self, room_id: str, connection_id: str, /) -> None:
        self._moved.labels("out").inc()

    def hub_moved_out(
        self, sessions: int, carried: int, ended: int, release: float, freeze: float, /
    ) -> None:
        self._moves.labels("out").inc()
        self._carried.inc(carried)
        self._releases.observe(release)
        self._freezes.observe(freeze)

    def hub_moved_in(self, sessions: int, adoption: float, /) -> None:
        self._moves.labels("in").inc()
        self._adoptions.observe(adoption)

    def hub_stayed(self, duration: float, /) -> None:
        self._moves.labels("failed").inc()

    def hub_parked(self, sessions: int, ended: int, duration: float, /) -> None:
        self._parked.inc(sessions)
        self._not_parked.inc(ended)

    def hub_taken(self, sessions: int, ended: int, duration: float, /) -> None:
        self._takeovers.inc()
        self._adopted.inc(sessions)
        self._not_adopted.inc(ended)

    def call_began(self) -> None:
        self._calling.inc()

    def call_ended(self, duration: float, answered: bool, /) -> None:
        self._calling.dec()
        self._calls.labels("yes" if answered else "no").observe(duration)

    def hub_silent(self) -> None:
        self._silences.inc()

    def hub_heard(self, duration: float, /) -> None:
        self._silent.inc(duration)


_GAUGES: Final = (
    ("rooms", "rooms", "Rooms that have members."),
    ("memberships", "memberships", "What all sessions are members of, home rooms included."),
    ("users", "users", "Users that have a session."),
    ("requests", "open_requests", "Requests without an answer, of clients and to clients."),
    ("held", "held_messages", "Frames in buffers and histories."),
    ("held_bytes", "held_bytes", "Their payloads."),
    ("parked", "parked_messages", "Messages of clients that wait for a handler."),
    ("parked_bytes", "parked_bytes", "Their size."),
    ("threads", "threads", "Threads of the hub."),
    ("lag", "hub_lag_seconds", "For how long the hub's oldest command has waited."),
)
"""Field of ``Stats``, name of the gauge, what it is."""

assert {field for field, _, _ in _GAUGES} <= {*Stats.__dataclass_fields__}


class _Both:
    """A registry, and metrics beside it that are asked once."""

    def __init__(self, registry: Any, beside: Iterator[Any]) -> None:
        self._registry = registry
        self._beside = beside

    def collect(self) -> Iterator[Any]:
        yield from self._registry.collect()
        yield from self._beside
