"""Extensions for other libraries, each in a folder or module of its own, and each with an extra of pip.

Nothing else in the package imports them, and each imports its library only when it is imported itself.
Begin with ``__init__.py`` of the folder of yours. Threads: each folder says which.
"""
