#!/usr/bin/env bash
# CPython up to 3.12: a thread that has ended may count as alive, while its number is another thread's already.
#
# Guessed: if `thread.is_alive()` is true, no other thread has `thread.ident`. So whoever compares
#          `thread.ident == threading.get_ident()` for threads that are alive asks "is that me?".
# Seen:    it can be true of another thread. is_alive() tries a lock that the system's thread lets go of as it
#          ends. A third thread that waits in `thread.join()` gets that lock first, and keeps it until it has the
#          GIL. Until then is_alive() says True, the system's thread is gone, and glibc gives its number to the
#          next thread that starts: about 1 of 100 tries on 3.11.7, 2 of 100 on 3.12.1. None on 3.13.0, where
#          threads end in another way. (Compare thread objects: `threading.current_thread() is thread`.)
#
# Linux (/proc) with glibc. No package, no network. PYTHON names another interpreter. Exit code 1: it is no
# longer so.
set -euo pipefail
python=${PYTHON:-python3}
"$python" - <<'PYTHON'
import os, platform, sys, threading

TRIES = 2000


def number_and_look(thread):
    """The number of a new thread, and whether that thread sees the old one alive."""
    seen = []
    new = threading.Thread(target=lambda: seen.append((threading.get_ident(), thread.is_alive())))
    new.start()
    new.join()
    return seen[0]


def one():
    """Whether the old thread was gone and alive; whether a new one had its number and saw it alive."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    joiner = threading.Thread(target=thread.join)
    joiner.start()
    end.set()
    gone = taken = False
    while thread.is_alive() and not gone:
        gone = not os.path.exists(f"/proc/self/task/{thread.native_id}") and thread.is_alive()
    if gone:
        taken = any(number_and_look(thread) == (thread.ident, True) for _ in range(3))
    joiner.join()
    return gone, taken


gone, taken = (sum(column) for column in zip(*(one() for _ in range(TRIES))))
print(f"CPython {platform.python_version()}, {TRIES} tries: {gone} times alive and gone, ", end="")
print(f"{taken} times alive for a thread that had its number")
sys.exit(0 if (taken > 0) == (sys.version_info < (3, 13)) else 1)
PYTHON
