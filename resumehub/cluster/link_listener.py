"""The hub's process listens for links, and any other process connects to it.

The listener binds its socket under a new name and renames it over the folder's ``hub``, so that a process
that connects finds the old hub or the new one, and never nothing. Who connects first shows its user (the
kernel says it), then greets. Both ends refuse a process of another user, with one line in the log. A greeting
that does not come in time ends only its own link: each has a thread from the start.

``connect`` makes the pair of sockets for descriptors and sends one end along with its greeting. Threads: the
listener's own, and one a link. Read next: ``greetings.py``, ``link_thread.py``.
"""

from __future__ import annotations

import array
import contextlib
import os
import secrets
import socket
import struct
import weakref
from collections.abc import Callable
from typing import Any, Final

from ..clock import now
from ..errors import ClusterRefused, NoHub
from ..runtime.base import Runtime
from ..runtime.foreign_code import Log, passes
from ..server.throttle import Throttle
from .folder import Folder
from .greetings import MOST_GREETING_BYTES, NOT_NOW, Greeting, Refused, Welcome
from .link import Link, close_all, descriptors_in
from .link_codec import MessageReader, NotAMessage, encode
from .link_thread import Handlers, LinkLoop

log = Log(__name__)

GREETING_TIMEOUT: Final = 5.0
"""Seconds within which a process that has connected must have greeted."""

MOST_LINKS: Final = 1024
"""Links to one hub's process. One more is refused before it is read from."""

_PAUSE: Final = 0.1
# Seconds until the next attempt where no link could be taken.

_BACKLOG: Final = 128
# Connections that may wait to be accepted; who comes then waits, too.

Greet = Callable[[Greeting], Welcome | Refused]
"""What the hub's process answers. It runs on the new link's thread, and must not block."""


class LinkListener:
    """Takes links for the hub's process. ``on_link``, handlers and ``on_end`` run on the link's thread."""

    def __init__(
        self,
        folder: Folder,
        greet: Greet,
        handlers: Handlers,
        on_link: Callable[[Link], None],
        on_end: Callable[[Link], None],
        runtime: Runtime,
    ) -> None:
        self._folder = folder
        self._greet = greet
        self._handlers = handlers
        self._on_link = on_link
        self._on_end = on_end
        self._runtime = runtime
        self._lock = runtime.lock("the links that greet")
        self._links = 0
        self._taken = runtime.mailbox()
        self._told: dict[str, Throttle] = {}
        self._spare = 0  # threads that wait for a link
        self._closed = runtime.event("the end of a listener")
        self._socket: socket.socket | None = None
        _listeners.add(self)

    def start(self) -> None:
        """Listen from now on. Whoever connected to an earlier hub's socket finds that one ended.

        Raises: OSError; RuntimeError if no thread can be started. Blocks: never.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new = self._folder.new_socket(secrets.token_hex(4))
        try:
            listening.bind(new)
            os.chmod(new, 0o600)
            listening.listen(_BACKLOG)
            os.rename(new, self._folder.socket)
            self._socket = listening
            for _ in range(self._runtime.spare_threads):
                self._spawn_spare()
            self._runtime.spawn("resumehub-links", self._accept)
        except BaseException:
            listening.close()
            self._dismiss_spare()
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise

    def close(self) -> None:
        """Take no more links; those that are there stay. Any thread; any number of times."""
        self._closed.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def after_fork_in_child(self) -> None:
        """In a forked child: the parent listens. Close the copy; take no lock."""
        if self._socket is not None:
            self._socket.close()

    # -- the listener's thread --------------------------------------------------------------

    def _accept(self) -> None:
        assert self._socket is not None, "a listener is started once"
        complained = False
        while not self._closed.is_set():
            try:
                stream, _ = self._socket.accept()
            except OSError as error:
                # For example, no descriptor is free: those who connect wait until one is.
                if not self._closed.is_set() and not complained:
                    log.error("no link can be taken in %s: %s", self._folder.path, error)
                complained = True
                self._closed.wait(_PAUSE)
                continue
            complained = False
            self._take(stream)
        self._socket.close()
        self._dismiss_spare()

    def _take(self, stream: socket.socket) -> None:
        if not _is_ours(stream, self._folder.path):
            stream.close()
            return
        with self._lock:
            full = self._links >= MOST_LINKS
            self._links += 1
        if full:
            self._turn_away(stream, f"the hub's process has {MOST_LINKS} links already")
            return
        try:
            self._spawn_spare()
        except RuntimeError:
            if not self._spare:
                self._turn_away(stream, "the hub's process can start no thread for one more link")
                return
        self._spare -= 1
        self._taken.put(stream)

    def _turn_away(self, stream: socket.socket, reason: str) -> None:
        with self._lock:
            more = self._told.setdefault(reason, Throttle()).let_through(now())
        if more is not None:
            log.error("a link is refused in %s: %s%s", self._folder.path, reason, _and(more))
        with contextlib.suppress(OSError):
            stream.send(encode(Refused("full", reason)), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        self._leave(stream)

    # Some Pythons start no thread at the end of a process, when another process has to link to this one. So
    # there is always one more thread than links, or more where that can happen (``Runtime.spare_threads``).

    def _spawn_spare(self) -> None:
        self._runtime.spawn("resumehub-link", self._serve_next)
        self._spare += 1

    def _dismiss_spare(self) -> None:
        for _ in range(self._spare):
            self._taken.put(None)
        self._spare = 0

    def _serve_next(self) -> None:
        stream = self._taken.get()
        if stream is not None:
            self._run(stream)

    # -- a link's thread --------------------------------------------------------------------

    def _run(self, stream: socket.socket) -> None:
        try:
            link = self._welcome(stream)
            if link is not None:
                LinkLoop(link, self._handlers, self._on_end, runtime=self._runtime).run(self._on_link)
        finally:
            self._leave(stream)

    def _leave(self, stream: socket.socket) -> None:
        stream.close()
        with self._lock:
            self._links -= 1

    def _tell_of(self, refused: Refused, greeting: Greeting) -> None:
        """One line a minute for each code: who is refused tries again and again."""
        if refused.code == NOT_NOW:
            log.debug(
                "a link of process %s is put off: %s", greeting.pid, refused.reason, peer_pid=greeting.pid
            )
            return
        with self._lock:
            more = self._told.setdefault(refused.code, Throttle()).let_through(now())
        if more is not None:
            log.warning(
                "a link of process %s is refused in %s: %s%s",
                greeting.pid,
                self._folder.path,
                refused.reason,
                _and(more),
                peer_pid=greeting.pid,
            )

    def _welcome(self, stream: socket.socket) -> Link | None:
        """Read a greeting and answer it."""
        descriptors: list[int] = []
        try:
            greeting = _read_one(stream, descriptors, now() + GREETING_TIMEOUT)
            if not isinstance(greeting, Greeting) or len(descriptors) != 1:
                raise NotAMessage("it does not begin with a greeting and a socket")
            answer = self._greet(greeting)
            if isinstance(answer, Refused):
                self._tell_of(answer, greeting)
            stream.sendall(encode(answer))
            if isinstance(answer, Refused):
                return None
            packets = socket.socket(fileno=descriptors.pop())
            _give_up_after(stream, None)
            return Link(stream, packets, greeting, answer.version, self._runtime)
        except BlockingIOError:
            log.error(
                "a link is ended in %s: it did not greet within %s s", self._folder.path, GREETING_TIMEOUT
            )
        except ConnectionError:
            log.debug("a process that came for a link in %s is gone again", self._folder.path)
        except (OSError, NotAMessage) as error:
            log.error("a link is ended in %s: %s", self._folder.path, error)
        except BaseException as error:
            if passes(error):
                raise
            log.exception("a link is ended in %s: its greeting could not be answered", self._folder.path)
        finally:
            close_all(descriptors)
        return None


def connect(folder: Folder, greeting: Greeting, runtime: Runtime, timeout: float) -> tuple[Link, Welcome]:
    """A link to the hub's process, and what it said. Next: serve it (``link_thread.py``, ``start``).

    Raises: NoHub if nobody listens, or the hub's process ended meanwhile; ClusterRefused with what it said;
    TimeoutError if it does not answer in time; OSError. Blocks: up to ``timeout`` real seconds.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        give_up = now() + timeout
        _give_up_after(stream, timeout)
        with theirs:
            try:
                stream.connect(folder.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                raise NoHub(folder.path) from None
            if not _is_ours(stream, folder.path):
                raise ClusterRefused(folder.path, "it runs as another user", "user")
            data = encode(greeting, 1)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))
            with contextlib.suppress(ConnectionError):  # it may have answered all the same
                sent = stream.sendmsg([data], [rights], socket.MSG_NOSIGNAL)
                if sent < len(data):
                    stream.sendall(data[sent:], socket.MSG_NOSIGNAL)
        answer = _read_one(stream, [], give_up)
        if isinstance(answer, Refused):
            raise ClusterRefused(folder.path, answer.reason, answer.code)
        if not isinstance(answer, Welcome):
            raise NoHub(folder.path)
        _give_up_after(stream, None)
        return Link(stream, ours, answer.greeting(), answer.version, runtime), answer
    except BaseException as error:
        stream.close()
        ours.close()
        if isinstance(error, BlockingIOError):
            raise TimeoutError(
                f"the hub's process in {folder.path} did not answer within {timeout:g} s"
            ) from None
        if isinstance(error, ConnectionError | NotAMessage):
            raise NoHub(folder.path) from None
        raise


def _and(more: int) -> str:
    return f" ({more} more since the last such line)" if more else ""


def _give_up_after(stream: socket.socket, seconds: float | None) -> None:
    """From now on a wait for this socket raises BlockingIOError after so long; None: it waits for ever."""
    limit = struct.pack("@ll", 0, 0)
    if seconds is not None:
        limit = struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1_000_000)))
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _is_ours(stream: socket.socket, folder: str) -> bool:
    """Whether the process at the other end runs as our user. The kernel says so: it can't be made up."""
    pid, user, _ = struct.unpack("iII", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if user != os.geteuid():
        log.error(
            "a link of process %s of user %s is refused in %s: the cluster is of user %s",
            pid,
            user,
            folder,
            os.geteuid(),
            peer_pid=pid,
        )
    return bool(user == os.geteuid())


def _read_one(stream: socket.socket, descriptors: list[int], give_up: float) -> Any:
    """The first message, read to its end and not beyond it; its descriptors are added to the list.

    Raises: NotAMessage; BlockingIOError if it is not complete at ``give_up``; OSError.
    """
    reader = MessageReader(MOST_GREETING_BYTES)
    while True:
        left = give_up - now()
        if left <= 0:
            raise BlockingIOError
        _give_up_after(stream, left)
        wanted = reader.wanted()
        data, found, _, _ = stream.recvmsg(wanted, socket.CMSG_SPACE(4 * 4), socket.MSG_CMSG_CLOEXEC)
        descriptors += descriptors_in(found)
        if not data:
            raise NotAMessage("it ended before its first message was complete")
        for message, _ in reader.feed(data):
            return message


_listeners: weakref.WeakSet[LinkListener] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for listener in list(_listeners):
        listener.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
