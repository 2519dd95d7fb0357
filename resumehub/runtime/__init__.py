"""Threads, locks, queues and waits for sockets, all from one object; and the loop that runs on them.

Only the testing kit imports ``threading`` and ``queue`` as well. So the lab can put an object of its
own in the place of this one, and run the same code one thread at a time. Nothing here knows a session or a
message. Threads: any. Begin with ``base.py``, the contract; ``system.py`` keeps it with Python's own threads,
and ``command_loop.py`` is the loop of the hub and of the client.
"""
