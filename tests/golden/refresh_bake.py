"""Write what buildx answers beside every bake case: `HPCBAKE_BUILDX=… python -m tests.golden.refresh_bake`.

Cases are projects (a folder with files, `runs.json` and a plan per run) and snippets (one JSON file with many small
cases). Only the answers are written; the questions are ours.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.golden.bake_cases import PROJECTS, SNIPPETS, load_project, load_snippets, put_project
from tests.golden.buildx import buildx_plan, write_files


def refresh_project(folder: Path) -> None:
    """One plan, or error, per run of a project."""
    plans = folder / "plans"
    plans.mkdir(exist_ok=True)
    for run in load_project(folder):
        with tempfile.TemporaryDirectory() as name:
            put_project(folder, Path(name))
            answer = buildx_plan(Path(name), run.arguments, run.environment)
        (plans / f"{run.name}.json").write_text(
            json.dumps({"plan" if isinstance(answer, dict) else "error": answer}, indent=1) + "\n"
        )


def refresh_snippets(path: Path) -> None:
    """The answers of one file of small cases."""
    document = json.loads(path.read_text())
    for case, question in zip(document["cases"], load_snippets(path), strict=True):
        with tempfile.TemporaryDirectory() as name:
            write_files(Path(name), question.files)
            answer = buildx_plan(Path(name), question.arguments, question.environment)
        case.pop("plan", None)
        case.pop("error", None)
        case["plan" if isinstance(answer, dict) else "error"] = answer
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for project in sorted(PROJECTS.iterdir()):
        refresh_project(project)
    for snippets in sorted(SNIPPETS.glob("*.json")):
        refresh_snippets(snippets)
