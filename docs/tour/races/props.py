"""What the programs of this gallery are made of: things whose every use shows in the picture.

A ``Table`` is a dict, a ``Queue`` is a queue, a ``Socket`` the server's end of a line to a client. They tell
the lab what is done with them. To put, to get, to send and to close are stops, where others may come in
between, as they may in life. Nothing here is part of any race.
"""

from __future__ import annotations


class Table:
    """A dict, called ``name`` in the picture."""

    def __init__(self, lab, name):
        self._lab, self._name, self._entries = lab, name, {}

    def __str__(self):
        return self._name

    def __setitem__(self, key, value):
        self._lab.note(f"{self._name}: {key} is {value}")
        self._entries[key] = value

    def get(self, key, default=None):
        value = self._entries.get(key, default)
        self._lab.note(f"{self._name}: look up {key}: {value}")
        return value

    def pop(self, key, default=None):
        value = self._entries.pop(key, default)
        self._lab.note(f"{self._name}: remove {key}, which was {value}")
        return value

    def __contains__(self, key):
        self._lab.note(f"{self._name}: is there {key}? {'yes' if key in self._entries else 'no'}")
        return key in self._entries

    def snapshot(self):
        """What is in it now. For assertions: it is not seen in the picture."""
        return dict(self._entries)


class Queue:
    """A queue without bounds, called ``name`` in the picture."""

    def __init__(self, lab, name):
        self._lab, self._name, self._items = lab, name, []
        self._changed = lab.threading.Condition()

    def put(self, item):
        with self._changed:
            self._lab.note(f"{self._name}: put {_plain(item)}")
            self._items.append(item)
            self._changed.notify()

    def get(self):
        """The oldest item; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._items)
            item = self._items.pop(0)
            self._lab.note(f"{self._name}: take {_plain(item)}")
            return item


def _plain(item):
    return ", ".join(map(str, item)) if isinstance(item, tuple) else item


class Socket:
    """The server's end of a line to a client, called ``name``."""

    def __init__(self, lab, name):
        self._lab, self._name = lab, name
        self._ended = lab.threading.Event()
        #: What the client has got.
        self.received = []
        self.open = True

    def __str__(self):
        return self._name

    def send(self, frame):
        """Send a frame; on a socket that was closed it fails as it does in life."""
        self._lab.pause(f"send {frame!r} on {self}")
        if not self.open:
            self._lab.note(f"cannot send {frame}")
            raise BrokenPipeError(f"{self} is closed")
        self._lab.note(f"client: {frame}")
        self.received.append(frame)

    def close(self):
        """Close the socket: what is sent from now on is lost."""
        self._lab.pause(f"close {self}")
        self._lab.note(f"client: {self} is closed")
        self.open = False
        self._ended.set()

    def hang_up(self):
        """What the client does."""
        self._lab.pause(f"hang up {self}")
        self.open = False
        self._ended.set()

    def wait_until_gone(self):
        """What a reader does all its life: wait until the line has ended."""
        self._ended.wait()
        self._lab.note(f"sees the end of {self}")
