"""What all unit tests share: property tests that do not fail because a machine is busy."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=50)
settings.load_profile("house")
