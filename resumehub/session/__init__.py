"""One session: what belongs to it for life, and the application's callbacks in their order.

Nothing is decided here, and the only threads that start here are those for callbacks. The application's
handlers are called here, never under a lock. Threads: the hub thread changes the session, readers and
callback threads run its handlers, any thread sends. Begin with ``session.py``, then ``handler_calls.py``.
"""
