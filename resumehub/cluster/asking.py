"""Asks the process that holds the hub of a folder how its cluster is, over a link that serves for this alone.

It opens no other file of the folder: to close the one with the lock would drop a lock of this process. Any
thread. Blocks: up to a given time. Read next: ``teller.py``, which answers.
"""

from __future__ import annotations

import os

from ..errors import NoHub
from ..runtime.base import Runtime
from .folder import Folder
from .greetings import Greeting
from .link_listener import connect
from .link_thread import start
from .member_links import WATCHER
from .member_messages import ClusterAsked, ClusterTold


def ask(folder: Folder, runtime: Runtime, patience: float) -> ClusterTold | None:
    """What the hub's process says; None where it does not answer. ``patience``: seconds for each step."""
    answers = runtime.mailbox()
    greeting = Greeting(os.urandom(16).hex(), os.getpid(), WATCHER, "")
    try:
        link, _ = connect(folder, greeting, runtime, patience)
    except (NoHub, TimeoutError, OSError):
        return None
    thread = start(
        link, {ClusterTold: lambda link, told, descriptors: answers.put(told)}, lambda link: None, runtime
    )
    try:
        link.send(ClusterAsked())
        told: ClusterTold | None = answers.get(patience)
        return told
    finally:
        link.close()
        thread.join(patience)
