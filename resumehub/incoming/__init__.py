"""From a socket that has input to the handler of a message: the threads that read.

What they see they report to the hub, and they decide nothing. No message is encoded or buffered here.
Threads: the readers, a few for all connections. Begin with ``leader_followers.py`` (which thread reads
which connection), then ``reader.py`` (what it does with what it has read).
"""
