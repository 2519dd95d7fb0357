"""``LocalCluster``: which folder the processes of an application share, as a value.

It is given to ``Hub(cluster=…)`` and to whatever else acts for the same cluster. It opens nothing and starts
nothing, so a module may build it before a server forks. Any thread. Read next: ``member.py``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Final

_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """The processes of one application on one host that share ``folder``. Nothing has to be installed.

    * ``folder``: a path, such as ``/var/lib/chat``. It is made if it is missing, for this user only, and
      belongs to one application. A relative path is resolved once, when this is built; the log says so at the
      start. ``given``: the path as it was given.
    * ``name``: of the application, at most 255 characters; a process with another name is refused. None: the
      application has no name; the folder is all that identifies it.
    * ``timeout``: seconds, more than 0: how long a call waits for a hub that is moving, that starts, or that
      does not answer. 2 is longer than a move or an election, and shorter than a user waits for a page.
    * ``park_bytes``: at least 1: how much of a full stop's sessions may be written down.
    * ``drain_on_exit``: whether the hub moves or is parked also where no gunicorn worker gets a SIGTERM:
      under Werkzeug, at Ctrl-C.

    Raises: TypeError or ValueError, which name the option, its value and what is allowed.
    Threads: any; immutable. Blocks: never.
    """

    folder: str
    name: str | None = None
    timeout: float = 2.0
    park_bytes: int = 1 << 30
    drain_on_exit: bool = False
    given: str = field(default="", repr=False, compare=False)

    def __init__(
        self,
        folder: str | os.PathLike[str],
        name: str | None = None,
        timeout: float = 2.0,
        park_bytes: int = 1 << 30,
        drain_on_exit: bool = False,
    ) -> None:
        object.__setattr__(self, "folder", _folder(folder))
        object.__setattr__(self, "given", os.fspath(folder))
        object.__setattr__(self, "name", _name(name))
        object.__setattr__(self, "timeout", _timeout(timeout))
        object.__setattr__(self, "park_bytes", _park_bytes(park_bytes))
        object.__setattr__(self, "drain_on_exit", _flag(drain_on_exit))


def _folder(folder: object) -> str:
    if isinstance(folder, bytes) or not isinstance(folder, str | os.PathLike):
        raise TypeError(
            f"LocalCluster(folder) must be a path, not {folder!r}; "
            'give the folder that the processes share, such as "/var/lib/chat"'
        )
    path = os.fspath(folder)
    if not isinstance(path, str):
        raise TypeError(f"LocalCluster(folder) must be a path as str, not {path!r}")
    if not path or "\0" in path:
        raise ValueError(
            f"LocalCluster(folder) must be the path of a folder, not {path!r}; "
            'give the folder that the processes share, such as "/var/lib/chat"'
        )
    return os.path.abspath(path)


def _name(name: object) -> str | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f"LocalCluster(name) must be a str, or None for no name, not {name!r}")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"LocalCluster(name) must have 1 to {_LONGEST_NAME} characters, all printable, "
            f"not {name[:40]!r} ({len(name)} characters)"
        )
    return name


def _timeout(timeout: object) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"LocalCluster(timeout) must be a number of seconds, not {timeout!r}")
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"LocalCluster(timeout) must be more than 0 seconds, not {timeout!r}")
    return float(timeout)


def _park_bytes(park_bytes: object) -> int:
    if isinstance(park_bytes, bool) or not isinstance(park_bytes, int):
        raise TypeError(f"LocalCluster(park_bytes) must be a whole number of bytes, not {park_bytes!r}")
    if park_bytes < 1:
        raise ValueError(f"LocalCluster(park_bytes) must be at least 1 byte, not {park_bytes!r}")
    return park_bytes


def _flag(flag: object) -> bool:
    if not isinstance(flag, bool):
        raise TypeError(f"LocalCluster(drain_on_exit) must be True or False, not {flag!r}")
    return flag
