"""The page of licences names every package that comes with hpcbake, without asking a network."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[3] / "docs"))
licences: Any = importlib.import_module("licences")


def test_the_table_holds_what_is_installed() -> None:
    """Every package that hpcbake needs here, directly or not, is listed, and says nothing else of itself."""
    assert list(licences.check_licences()) == []
    assert {"click", "paramiko", "mdurl"} <= set(licences.installed_licences())


def test_a_new_dependency_is_a_complaint() -> None:
    """A package that nobody listed cannot slip in."""
    assert "lacks leftpad" in next(licences.check_licences({"leftpad": "WTFPL"}))


def test_a_changed_licence_is_a_complaint() -> None:
    """A package that changes its terms is noticed; one that says the same in other words is not."""
    assert "says of itself AGPL" not in list(licences.check_licences({"click": "BSD License"}))
    assert list(licences.check_licences({"click": "BSD License", "spython": "Mozilla Public License 2.0"})) == []
    assert "click is listed under BSD-3-Clause" in next(licences.check_licences({"click": "MIT License"}))
