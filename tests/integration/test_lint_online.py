"""`hpcbake lint --online` against a real registry: which digest a floating tag has, and what does not exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.siteless]

BAKE = 'target "default" {\n  tags      = ["example.org/app:1"]\n  platforms = ["linux/amd64"]\n}\n'


def lint(lab: RunningLab, folder: Path, dockerfile: str) -> subprocess.CompletedProcess[str]:
    (folder / "docker-bake.hcl").write_text(BAKE)
    (folder / ".dockerignore").write_text(".git\n")
    (folder / "Dockerfile").write_text(dockerfile)
    hpcbake = str(Path(sys.executable).with_name("hpcbake"))
    return subprocess.run(
        [hpcbake, "lint", "--online"], cwd=folder, env=lab.env, capture_output=True, text=True, timeout=120
    )


def test_the_digest_of_a_floating_tag_is_offered(lab: RunningLab, tmp_path: Path) -> None:
    """The very line to write."""
    name, _, digest = lab.env["BASE"].partition("@")
    done = lint(lab, tmp_path, f"FROM {name}\n")
    assert f"FROM {name}@{digest}" in done.stdout
    assert done.returncode == 0
    assert "HB-LINT-004" not in lint(lab, tmp_path, f"FROM {name}@{digest}\n").stdout


def test_a_base_that_the_registry_does_not_have_is_an_error(lab: RunningLab, tmp_path: Path) -> None:
    """Found before anything is built."""
    done = lint(lab, tmp_path, f"FROM {lab.registry}/lint/no-such-image:1\n")
    assert "HB-LINT-001" in done.stdout
    assert done.returncode == 10
