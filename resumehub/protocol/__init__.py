"""The messages of ``resumehub.v1``, and the tokens in its subprotocol: what both ends write and read.

Values and pure functions. No decision, no session and no socket is here: the end that gets a message decides
what follows from it. Threads: any. Begin with ``control_messages.py``.
"""
