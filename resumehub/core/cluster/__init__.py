"""What the processes of one host decide about their hub: where it is, and how it moves. Values in, values out.

Threads: whichever calls; nothing here is shared or waits. Begin with ``../moving.py``.
"""
