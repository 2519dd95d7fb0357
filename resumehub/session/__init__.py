"""One session: what belongs to it for life, and the application's callbacks in their order.

No decision is here, and no thread starts here but for callbacks. A handler of the application runs in this
folder, and never under a lock. Threads: the hub thread changes the session; readers and callbacks threads
run its handlers; any thread sends. Begin with ``session.py``, then ``handler_calls.py``, ``serial_queue.py``.
"""
