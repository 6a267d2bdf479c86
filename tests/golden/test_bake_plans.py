"""Bake files resolve to the plans that buildx 0.29.1 printed for them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from hpcbake.model.plan import JsonValue
from tests.golden.bake_cases import PROJECTS, SNIPPETS, Case, load_project, load_snippets, put_project
from tests.golden.buildx import buildx_plan, comparable, find_buildx, our_plan, write_files

needs_buildx = pytest.mark.skipif(find_buildx() is None, reason="needs docker buildx 0.29, or HPCBAKE_BUILDX naming it")


def project_runs() -> list[tuple[str, Case]]:
    return [(folder.name, run) for folder in sorted(PROJECTS.iterdir()) for run in load_project(folder)]


@pytest.mark.parametrize("pair", project_runs(), ids=lambda pair: f"{pair[0]}-{pair[1].name}")
def test_a_project_resolves_as_buildx_resolved_it(pair: tuple[str, Case], tmp_path: Path) -> None:
    """A whole project, run by run."""
    put_project(PROJECTS / pair[0], tmp_path)
    ours = our_plan(tmp_path, pair[1].arguments, pair[1].environment)
    assert comparable(ours) == comparable(pair[1].answer), ours if isinstance(ours, str) else ""


def resolved(case: Case) -> JsonValue | str:
    """Our answer to a snippet."""
    with tempfile.TemporaryDirectory() as name:
        write_files(Path(name), case.files)
        return our_plan(Path(name), case.arguments, case.environment)


@pytest.mark.parametrize("topic", sorted(path.stem for path in SNIPPETS.glob("*.json")))
def test_snippets_resolve_as_buildx_resolved_them(topic: str) -> None:
    """Many small questions per topic; the names of those that differ are shown."""
    cases = load_snippets(SNIPPETS / f"{topic}.json")
    answers = {case.name: resolved(case) for case in cases}
    differing = {c.name: answers[c.name] for c in cases if comparable(answers[c.name]) != comparable(c.answer)}
    assert cases
    assert differing == {}


def test_differences_are_the_ones_that_are_documented() -> None:
    """Where we do what was meant instead, the answer is the one on record, and the page says why."""
    path = SNIPPETS.parent / "differences.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for entry, case in zip(document["cases"], load_snippets(path), strict=True):
        assert comparable(resolved(case)) == comparable(entry["hpcbake"]), case.name
        assert comparable(entry["hpcbake"]) != comparable(entry["buildx"]), case.name
        assert entry["why"]


@pytest.mark.needs_buildx
@needs_buildx
def test_the_answers_on_disk_are_those_of_buildx(tmp_path: Path) -> None:
    """The projects' answers are what the real program gives today."""
    for name, run in project_runs():
        folder = tmp_path / f"{name}-{run.name}"
        put_project(PROJECTS / name, folder)
        assert comparable(buildx_plan(folder, run.arguments, run.environment)) == comparable(run.answer), run.name
