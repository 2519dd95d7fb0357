"""python-socketio in its threading mode, with a Redis message queue ($BENCH_REDIS) between its workers."""

from __future__ import annotations

import os

import socketio

from .app_socketio import serving

app = serving(client_manager=socketio.RedisManager(os.environ["BENCH_REDIS"]))
