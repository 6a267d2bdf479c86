"""Templates are looked for before anything is begun, and a missing one is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.ship.templates import require_templates
from hpcbake.smoke.job import TEMPLATES

PROJECT = """\
smoke:
  - name: fine
    template: cpu
  - name: odd one
    template: '{}'  # with a comment
"""


@pytest.mark.parametrize("template", TEMPLATES)
def test_ours_are_there(template: str) -> None:
    """Without any folder of the project's."""
    require_templates([SmokeTest("x", template)], [], project_text="")


def test_the_project_s_own_are_there(tmp_path: Path) -> None:
    """By file name; a folder that is not there holds none."""
    (tmp_path / "solver.sbatch.j2").write_text("x")
    require_templates([SmokeTest("x", "solver")], [tmp_path, tmp_path / "none"], project_text="")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (PROJECT.format("nosuch"), "hpcbake.yaml:5: "),
        ("smoke: [{name: x, template: nosuch}]\n", "hpcbake.yaml:1: "),
        ("smoke:\n- template: nosuch\n  name: x\n", "hpcbake.yaml:2: "),
        ("smoke:\n- template: nosuch-2\n- template: nosuch\n", "hpcbake.yaml:3: "),
        ("", "hpcbake.yaml: "),
    ],
)
def test_a_missing_one_is_told_with_its_line(text: str, place: str, tmp_path: Path) -> None:
    """And with those that there are."""
    (tmp_path / "solver.sbatch.j2").write_text("x")
    with pytest.raises(ConfigError) as caught:
        require_templates([SmokeTest("fails", "nosuch")], [tmp_path], project_text=text)
    assert caught.value.message == (
        f"{place}smoke test 'fails' asks for the template 'nosuch', and there is no nosuch.sbatch.j2"
    )
    assert "cpu, command, python, gpu, mpi, io, solver" in caught.value.remedy
