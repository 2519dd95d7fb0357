"""What is decided about several processes that share one hub, and nothing else.

Pure: values in, values out; no thread, socket, file or clock. Threads: whoever asks.
Begin with ``membership.py``.
"""
