"""Code that is not ours, and why nothing that it raises ends one of our threads.

Handlers, codecs, collectors and log handlers may raise anything. Extensions written in Rust raise a
``BaseException`` that is no ``Exception``. A thread that dies of it would serve no client again. So every
place that calls such code catches ``BaseException`` there, and it costs one message, one transport or one
session:

======================  ========================================  ==========================================
what is called          where it is caught                        what it costs
======================  ========================================  ==========================================
hooks, ``Router``       ``session/handler_calls.py``              1011, or only a line in the log (B4)
``codec.decode``        ``codec.py``, ``decode_message``          the message is skipped (C11)
``codec.encode``        the caller of ``send`` gets it; of our    the transport: its client waits for that
                        messages ``session/control_messages.py``  message
metrics, trace          ``session/observers.py``                  nothing; logged
spans                   ``session/telling.py``                    nothing; logged
``connect``             ``wsgi/checks.py``, ``_ask``              500
``authorize``           ``inspector/guard.py``, ``refusal``       500
clock                   ``runtime/steady_clock.py``               nothing: the last time that it gave counts
log handlers, filters   ``Log``, below                            that line
the client's callbacks  ``client/callbacks.py``                   nothing; logged and counted. The asker of a
                        ``client/responder.py``                   request gets ``internal_error`` (E3)
the client's ``random`` ``client/options.py``, ``chance``         nothing; logged
======================  ========================================  ==========================================

An argument that runs code (``exclude``, a payload) is read in the caller's thread, without a lock, and the
caller gets what it raises. Behind all this there is a net in every loop of a thread, for bugs of ours:
``command_loop.py``, ``incoming/leader_followers.py``, ``incoming/reader.py``, ``session/serial_queue.py``,
``outgoing/transport_writer.py``, ``server/watcher.py``, ``client/client_loop.py``, ``client/transport.py``.

Any thread. Read next: docs/explanation/threads.md.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Final

from .base import ThreadMustLeave
from .system import on_main_thread

Extra = str | int


def passes(error: BaseException) -> bool:
    """Whether an ``except BaseException`` must raise ``error`` again.

    ``KeyboardInterrupt`` and ``SystemExit`` on the main thread are the process's: Ctrl-C, or a server that
    ends its worker. No thread of ours is the main thread. There they come from a handler, and are errors like
    others.
    """
    if isinstance(error, ThreadMustLeave):
        return True
    return isinstance(error, KeyboardInterrupt | SystemExit) and on_main_thread()


EXTRAS: Final = ("connection_id", "transport", "hook", "status", "reason", "peer_pid")
"""The attributes that a record may have besides Python's own: strings and numbers, ready for JSON.

``connection_id``: whose session it is about. ``transport``: the number of a WebSocket in this process.
``hook``: of a handler. ``status``, ``reason``: of a refused upgrade. ``peer_pid``: another process of the
cluster.
"""

_PACKAGE: Final = "resumehub"


class Log:
    """A module's logger, whose handlers and filters may raise anything: that line is lost, and nothing else.

    ``name``: the module's, ``__name__``. A filter of the logger ``resumehub`` holds for all of them. The
    methods are those of a logger of Python; instead of ``extra`` they take ``EXTRAS`` by name. No line has a
    payload, a token or a query (tests/test_logging.py). Threads: any. Blocks: as the handlers do.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        if name.partition(".")[0] == _PACKAGE and name != _PACKAGE:
            # Python asks the filters of the very logger alone, and an application knows one logger.
            self._logger.addFilter(_as_the_package)

    def debug(self, text: str, *arguments: object, **extra: Extra) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            self._write(logging.DEBUG, text, arguments, None, extra)

    def info(self, text: str, *arguments: object, **extra: Extra) -> None:
        self._write(logging.INFO, text, arguments, None, extra)

    def warning(
        self, text: str, *arguments: object, exc_info: BaseException | None = None, **extra: Extra
    ) -> None:
        self._write(logging.WARNING, text, arguments, exc_info, extra)

    def error(
        self, text: str, *arguments: object, exc_info: BaseException | None = None, **extra: Extra
    ) -> None:
        self._write(logging.ERROR, text, arguments, exc_info, extra)

    def exception(self, text: str, *arguments: object, **extra: Extra) -> None:
        """For an except block: with its traceback."""
        self._write(logging.ERROR, text, arguments, sys.exception(), extra)

    def critical(
        self, text: str, *arguments: object, exc_info: BaseException | None = None, **extra: Extra
    ) -> None:
        self._write(logging.CRITICAL, text, arguments, exc_info, extra)

    def _write(
        self,
        level: int,
        text: str,
        arguments: tuple[object, ...],
        error: BaseException | None,
        extra: dict[str, Extra],
    ) -> None:
        try:
            # The third frame from there is the one that called our method.
            self._logger.log(level, text, *arguments, exc_info=error, stacklevel=3, extra=extra)
        except BaseException as problem:
            if passes(problem):
                raise
            # Without the arguments: the text alone is surely no secret.
            with contextlib.suppress(Exception):
                kind = type(problem).__name__
                print(f"resumehub: a log handler raised {kind}; the line was: {text}", file=sys.stderr)


def _as_the_package(record: logging.LogRecord) -> bool:
    return logging.getLogger(_PACKAGE).filter(record)
