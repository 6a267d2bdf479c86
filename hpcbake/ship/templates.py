"""Are the templates of all smoke tests there? Asked before a run begins anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hpcbake.errors import ConfigError
from hpcbake.model.artefacts import SmokeTest
from hpcbake.smoke.job import TEMPLATES, template_names


def require_templates(
    tests: Iterable[SmokeTest], folders: Sequence[Path], *, project_text: str, project_name: str = "hpcbake.yaml"
) -> None:
    """Raises ConfigError for the first test whose template is nowhere, with the line of the project file that names it.

    `folders` are the project's own; ours come after them.
    """
    known = template_names(folders)
    for test in tests:
        if test.template not in known:
            own = sorted(known - set(TEMPLATES))
            raise ConfigError(
                f"{_place(test.template, project_text, project_name)}: smoke test {test.name!r} asks for the template "
                f"{test.template!r}, and there is no {test.template}.sbatch.j2",
                remedy=f"use one of {', '.join((*TEMPLATES, *own))}; or put your own into the project's slurm/ folder",
                kind="config.smoke",
            )


def _place(template: str, text: str, name: str) -> str:
    """`FILE:LINE` of the key that names a template; the file alone where no line of it does so plainly."""
    key = re.compile(rf"""(?:^|[\s{{,-])template\s*:\s*["']?{re.escape(template)}["']?\s*(?:[,}}#]|$)""")
    lines = (number for number, line in enumerate(text.splitlines(), start=1) if key.search(line))
    number = next(lines, 0)
    return f"{name}:{number}" if number else name
