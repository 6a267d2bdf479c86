"""The bake cases on disk: whole projects with several runs, and small snippets."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from hpcbake.model.plan import JsonValue

PROJECTS = Path(__file__).parent / "bake" / "projects"
SNIPPETS = Path(__file__).parent / "bake" / "snippets"


@dataclass(frozen=True)
class Case:
    """A question to a bake program, and buildx's answer: a plan, or an error as a text."""

    name: str
    files: dict[str, str]
    arguments: list[str]
    environment: dict[str, str]
    answer: JsonValue | str = None


def load_project(folder: Path) -> list[Case]:
    """The runs of one project."""
    return [_with_answer(folder, run) for run in json.loads((folder / "runs.json").read_text())]


def _with_answer(folder: Path, run: dict[str, JsonValue]) -> Case:
    path = folder / "plans" / f"{run['name']}.json"
    document = json.loads(path.read_text()) if path.is_file() else {}
    return _case({**run, **document})


def put_project(folder: Path, place: Path) -> None:
    """Copy a project's files, without the answers."""
    shutil.copytree(folder, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs.json", "plans"))


def load_snippets(path: Path) -> list[Case]:
    """The cases of one file."""
    return [_case(case) for case in json.loads(path.read_text(encoding="utf-8"))["cases"]]


def _case(entry: dict[str, JsonValue]) -> Case:
    files, arguments, environment = entry.get("files", {}), entry.get("arguments", []), entry.get("environment", {})
    assert isinstance(files, dict)
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    return Case(
        str(entry["name"]),
        {name: str(text) for name, text in files.items()},
        [str(argument) for argument in arguments],
        {name: str(value) for name, value in environment.items()},
        entry.get("plan", entry.get("error")),
    )
