"""What a guard is: a check in the code, what it is good for, and the schedule that goes wrong without it.

The guards themselves are data, in the modules ``…_guards.py``.
``test_guards.py`` takes each away and plays its schedule; ``guards_page.py`` draws the page
(docs/explanation/guards.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Guard:
    """A check that can be taken away by replacing ``snippet``, which occurs once in ``file``.

    ``schedule`` then goes wrong, and the failure reads ``says``. Where no schedule does, ``because`` says
    what the check is there for; if it is the second of two lines of defence, ``besides`` names the other
    one, and the schedule goes wrong once both are gone.
    """

    name: str
    file: str
    snippet: str
    replacement: str
    protects: str
    schedule: tuple[str, ...] = ()
    says: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    because: str = ""
    besides: str = ""

    @property
    def proven(self) -> bool:
        return not self.because
