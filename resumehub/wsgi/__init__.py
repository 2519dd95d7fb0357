"""From a request to a 101 or a refusal, and the socket's way from the WSGI server to the hub.

The checks look, and answer with a status; the hub decides again when the socket arrives. werkzeug is
imported here, and no socket is read or written but for the hand-over. Threads: the server's request
threads, and none of them stays. Begin with ``checks.py``.
"""
