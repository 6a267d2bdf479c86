"""A site of its own for every test of the scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site_stand import SiteStand


@pytest.fixture
def stand(tmp_path: Path) -> SiteStand:
    """A site whose programs are stand-ins, in a folder whose name needs quoting."""
    return SiteStand(tmp_path / "it's a site", tmp_path / "store")
