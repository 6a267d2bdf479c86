"""Looks for the templates of a project's smoke tests before anything else is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcbake.cli.configuration import PROJECT_FILE
from hpcbake.model.artefacts import SmokeTest
from hpcbake.ship.templates import require_templates


def require_project_templates(tests: Mapping[str, Sequence[SmokeTest]], folder: Path) -> None:
    """Raises ConfigError, with the line of the project file, for a test whose template is nowhere."""
    path = folder / PROJECT_FILE
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    every = [test for of_target in tests.values() for test in of_target]
    require_templates(every, [folder / "slurm"], project_text=text, project_name=PROJECT_FILE)
