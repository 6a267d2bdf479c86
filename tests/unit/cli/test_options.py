"""What the shared options read: the project file, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.cli.options import read_project
from hpcbake.errors import ConfigError, HpcbakeError
from hpcbake.ship.project import Project


def test_no_project_file_is_the_default(tmp_path: Path) -> None:
    """It is optional."""
    assert read_project(tmp_path) == Project()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"smoke: [", b"", b"smoke: 3"])
def test_a_project_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes) -> None:
    """It is never passed over."""
    (tmp_path / "hpcbake.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"hpcbake\.yaml"):
        read_project(tmp_path)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    """And is no crash."""
    (tmp_path / "hpcbake.yaml").mkdir()
    with pytest.raises(HpcbakeError):
        read_project(tmp_path)
