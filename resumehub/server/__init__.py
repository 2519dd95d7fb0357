"""The hub thread and what it owns: the loop of commands, the effects, the tables of sessions and rooms.

The machine in ``core/`` decides; this folder carries out, and starts and joins the threads. Nothing here
waits for a network, for a handler, or for a lock that an application may hold. Thread: the hub thread, but
for the methods that say otherwise. Begin with ``hub_loop.py``, then ``effect_runner.py``.
"""
