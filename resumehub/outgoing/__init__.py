"""From a message that was accepted to the bytes in a socket: queue, buffer, ledger, writer.

Nothing here knows whether a session is suspended or has ended: it sees frames, and a transport or none.
Threads: any thread that sends, a writer thread, the reader and the hub thread, all under the lock of the
session's outbox. No thread waits for the network while it holds that lock. Begin with ``frame_queue.py``,
then ``outbox.py``, ``transport_writer.py``.
"""
