"""The fixture that every story here may ask for."""

from __future__ import annotations

from tests.races.stepped_hub import stepped  # noqa: F401 (a fixture)
