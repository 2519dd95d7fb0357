"""The one door to threads, locks, queues and the waiting for sockets.

No other module imports ``threading`` or ``queue``. So the lab can put an object of its own in the
place of this one, and run the same code one thread at a time. Nothing here knows a session or a message.
Threads: any. Begin with ``base.py``, the contract; ``system.py`` keeps it with Python's own threads.
"""
