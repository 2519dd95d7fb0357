"""Uses the extra ``opentelemetry``: the API alone, without an SDK, and a session that has its span."""

from __future__ import annotations

import threading
from typing import Any

from opentelemetry import trace
from werkzeug.serving import make_server

from resumehub import Hub, Message
from resumehub.client import connect
from resumehub.contrib.opentelemetry import OpenTelemetrySpans

PATIENCE = 20.0
CONTEXT = trace.SpanContext(0xAB, 0xCD, is_remote=False)


class Provider(trace.TracerProvider, trace.Tracer):
    """Gives everybody the same span, and keeps the names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_tracer(self, *arguments: Any, **options: Any) -> trace.Tracer:
        return self

    def start_span(self, name: str, *arguments: Any, **options: Any) -> trace.Span:
        self.names.append(name)
        return trace.NonRecordingSpan(CONTEXT)

    def start_as_current_span(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("resumehub does not use it")


def main() -> None:
    provider = Provider()
    hub = Hub(lambda request: ("lobby", None), spans=OpenTelemetrySpans(provider, handlers=True))

    @hub.on_message
    def tell(connection: Any, message: Any) -> None:
        connection.send(Message("trace", trace.get_current_span().get_span_context().trace_id))

    server = make_server("127.0.0.1", 0, hub, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    with connect(f"ws://127.0.0.1:{server.server_port}/") as client:
        client.send(Message("say", "hello"))
        assert client.receive(PATIENCE).payload == 0xAB
    assert hub.close().complete
    server.shutdown()
    serving.join()
    server.server_close()
    assert provider.names == ["resumehub.session", "resumehub.on_message"]
    print("a handler ran inside the span of its session")


if __name__ == "__main__":
    main()
