"""From a request to a 101 or a refusal, and the socket's way from the WSGI server to the hub.

The checks read the request and answer with a status; the hub decides again when the socket arrives. werkzeug
is imported here. No socket is read or written, except in the hand-over. Threads: the WSGI server's request
threads; none of them stays, except for TLS inside the server. Begin with ``checks.py``.
"""
