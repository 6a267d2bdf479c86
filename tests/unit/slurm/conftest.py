"""A site of its own for every test of the scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.site_stand import SiteStand
from tests.unit.slurm.releases import A, B, C, give

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs the scripts in a shell takes its time: `make stand`, not `make check`."""
    for item in items:
        if item.path.is_relative_to(HERE) and STANDS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.stand)


#: Fixtures by which a test runs scripts.
STANDS = {"stand", "stand_of_two", "stand_of_three", "store_of_two", "store_of_three"}


@pytest.fixture
def stand(tmp_path: Path) -> SiteStand:
    """A site whose programs are stand-ins, in a folder whose name needs quoting."""
    return SiteStand(tmp_path / "it's a site", tmp_path / "store")


@pytest.fixture(scope="session")
def store_of_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which three releases were promoted one after the other, as 1.0, 2.0 and 3.0: made once."""
    folder = tmp_path_factory.mktemp("three")
    stand = SiteStand(folder / "site", folder / "store")
    for version, digest in enumerate((A, B, C), start=1):
        give(stand, digest, f"{version}.0", expose=("solve",))
    return stand.root


@pytest.fixture(scope="session")
def store_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which two releases were promoted one after the other under one tag: made once."""
    folder = tmp_path_factory.mktemp("two")
    stand = SiteStand(folder / "site", folder / "store")
    for digest in (A, B):
        give(stand, digest)
    return stand.root


@pytest.fixture
def stand_of_two(stand: SiteStand, store_of_two: Path) -> SiteStand:
    """A site with that store: a copy of its own, links and times as they are."""
    shutil.copytree(store_of_two, stand.root, symlinks=True)
    return stand


@pytest.fixture
def stand_of_three(stand: SiteStand, store_of_three: Path) -> SiteStand:
    """A site with that store: a copy of its own, links and times as they are."""
    shutil.copytree(store_of_three, stand.root, symlinks=True)
    return stand
