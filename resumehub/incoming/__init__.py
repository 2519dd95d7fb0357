"""From a socket that has input to the handler of a message: the threads that read.

They report what they read to the hub thread, and decide nothing. No message is encoded or buffered here.
Threads: the readers, a few for all transports. Begin with ``leader_followers.py`` (which thread reads which
transport), then ``reader.py`` (what it does with what it has read).
"""
