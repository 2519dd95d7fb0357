"""``ResumeHub``, the extension for Flask: routes, handlers with a context, options from app.config.

``pip install 'resumehub[flask]'``. Only this folder imports Flask. Begin with ``extension.py``, for what an
application calls, then ``app_hub.py``, for what each application has; docs/howto/flask.md has examples.
Threads: routes on request threads, handlers on the hub's, all else on any.
"""

from __future__ import annotations

try:
    import flask as _flask  # noqa: F401  (only to say what is missing)
except ImportError as error:
    raise ImportError("resumehub.contrib.flask needs Flask: pip install 'resumehub[flask]'") from error

from ...admission import Admission
from ...message import Message
from .app_hub import AppHub
from .extension import ResumeHub

__all__ = ["Admission", "AppHub", "Message", "ResumeHub"]
