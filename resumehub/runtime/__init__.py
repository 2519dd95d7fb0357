"""Threads, locks, queues and waits for sockets, all from one object; and the loop that runs on them.

Only this folder and the testing kit import ``threading`` and ``queue``. So the lab can use an object of its
own instead, and run the same code one thread at a time. Nothing here knows a session or a message. Threads:
any. Begin with ``base.py``, the contract; ``system.py`` implements it with Python's threads, and
``command_loop.py`` is the loop of the hub and of the client.
"""
