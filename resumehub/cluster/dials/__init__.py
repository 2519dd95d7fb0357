"""Dials at a worker: the hub is asked for a verdict, and gets the client's connection.

Threads: request threads in the worker, the link's threads at either end. Begin with ``dial_messages.py``;
``core/cluster/passing.py`` decides.
"""
