"""The hub thread and what it owns: the loop of commands, the effects, the registry of sessions and rooms.

The machine in ``core/`` decides; this folder carries out, and starts and joins the threads. The hub thread
never waits for the network, for a handler, or for a lock that an application may hold. Thread: the hub
thread, except where a method says otherwise. Begin with ``hub_loop.py``, then ``effect_runner.py``.
"""
