"""What all unit tests share: a shell that says nothing, and property tests that do not fail on a busy machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=50)
settings.load_profile("house")


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which nobody has set anything."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def shell_that_says_nothing(monkeypatch: pytest.MonkeyPatch, empty_home: Path) -> None:
    """Who runs the tests may have settings of their own, or have read a lab's lab.env: no unit test sees them."""
    for name in os.environ:
        if name.startswith(("HPCBAKE_", "XDG_", "DOCKER_", "BUILDX_", "REGISTRY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(empty_home))
