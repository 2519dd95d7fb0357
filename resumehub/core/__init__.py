"""What is decided about sessions and transports, and nothing else: states, rules, commands, effects.

A command goes into the machine, effects come out: both are plain values. So an order of events is a
list, which a test can write down and play. No thread, lock, socket, clock, log or random number may be
imported here (``tests/test_architecture.py``). Thread: the hub thread; the rules of ``resume.py`` are also
asked by request threads. Begin with ``states.py``, then ``machine.py``.
"""
