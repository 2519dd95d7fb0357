"""Uses the extra ``prometheus``: a collector on a real server, and what ``/metrics`` says of it."""

from __future__ import annotations

import threading
import urllib.request

from werkzeug.serving import make_server

from resumehub import Hub, Message
from resumehub.client import connect
from resumehub.contrib.prometheus import PrometheusMetrics

PATIENCE = 20.0


def main() -> None:
    metrics = PrometheusMetrics()
    hub = Hub(lambda request: ("lobby", None), metrics=metrics)
    hub.on_message(lambda connection, message: connection.send(Message("echo", message.payload)))
    server = make_server("127.0.0.1", 0, metrics.serve(hub, hub), threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    with connect(f"ws://127.0.0.1:{server.server_port}/") as client:
        client.send(Message("say", "hello"))
        assert client.receive(PATIENCE).payload == "hello"
        address = f"http://127.0.0.1:{server.server_port}/metrics"
        with urllib.request.urlopen(address, timeout=PATIENCE) as response:
            text = response.read().decode()
    assert "resumehub_sessions_opened_total 1.0" in text
    assert 'resumehub_sessions{state="connected"} 1.0' in text
    assert hub.close().complete
    server.shutdown()
    serving.join()
    server.server_close()
    print(f"/metrics has {text.count('# HELP resumehub_')} metrics of the hub")


if __name__ == "__main__":
    main()
