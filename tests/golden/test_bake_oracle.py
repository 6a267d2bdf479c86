"""hpcbake resolves what buildx resolves: on random bake runs, compared with the real program."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from hpcbake.bakefile import portable_plan, resolve
from hpcbake.errors import HpcbakeError
from hpcbake.model.plan import JsonValue
from tests.golden.bake_programs import BakeRun, bake_runs, compose_runs
from tests.golden.buildx import (
    buildx_plan,
    clean_environment,
    comparable,
    find_buildx,
    our_plan,
    parse_arguments,
    write_files,
)

#: So many random runs; more with HPCBAKE_ORACLE_RUNS.
RUNS = int(os.environ.get("HPCBAKE_ORACLE_RUNS", "40"))

needs_buildx = pytest.mark.skipif(find_buildx() is None, reason="needs docker buildx 0.29, or HPCBAKE_BUILDX naming it")
random_runs = settings(
    max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck), derandomize=RUNS <= 40
)


def compare(run: BakeRun) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, run.files)
        theirs = comparable(buildx_plan(folder, run.arguments, run.environment))
        ours = our_plan(folder, run.arguments, run.environment)
        assert comparable(ours) == theirs, ours if isinstance(ours, str) else ""


@pytest.mark.needs_buildx
@needs_buildx
@random_runs
@given(bake_runs())
def test_random_bake_files_give_the_plan_that_buildx_prints(run: BakeRun) -> None:
    """Same targets, same groups, same values; or an error from both."""
    compare(run)


@pytest.mark.needs_buildx
@needs_buildx
@random_runs
@given(compose_runs())
def test_random_compose_files_give_the_plan_that_buildx_prints(run: BakeRun) -> None:
    """Two compose files laid over each other, `extends`, `.env`, a bake file on top."""
    compare(run)


def bake_folders() -> list[Path]:
    """Every folder of this repository that holds bake files somebody wrote."""
    root = Path(__file__).parents[2]
    places = [*root.glob("examples/**/docker-bake.*"), *root.glob("lab/**/docker-bake.*")]
    return sorted({path.parent for path in [*places, *root.glob("tests/golden/lint/**/docker-bake.*")]})


@pytest.mark.needs_buildx
@needs_buildx
def test_the_bake_files_of_this_repository_mean_the_same(tmp_path: Path) -> None:
    """Examples, the lab, and the files that lint is tested with."""
    differing = []
    for i, folder in enumerate(bake_folders()):
        place = tmp_path / str(i)
        shutil.copytree(folder, place)
        if comparable(our_plan(place, [], {})) != comparable(buildx_plan(place, [], {})):
            differing.append(str(folder))
    assert differing == []


@pytest.mark.needs_buildx
@needs_buildx
@random_runs
@given(bake_runs())
def test_a_portable_plan_means_the_same_to_buildx(run: BakeRun) -> None:
    """What is handed to BuildKit is what was resolved: no text is evaluated twice, no entry lost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder, run.files)
        try:
            plan = resolve(
                parse_arguments(run.arguments), folder=folder, environment=clean_environment(run.environment)
            )
        except HpcbakeError:
            return
        if not all(group.targets for group in plan.groups.values()):
            return  # buildx takes an empty group inside another for a target
        (folder / "plan.json").write_text(json.dumps(portable_plan(plan)), encoding="utf-8")
        theirs = buildx_plan(folder, ["-f", "plan.json"], {})
        assert comparable(theirs) == comparable(_without_descriptions(plan.as_json())), theirs


def _without_descriptions(document: JsonValue) -> JsonValue:
    """An older program would not know them, so a portable plan has none."""
    if isinstance(document, dict):
        return {key: _without_descriptions(value) for key, value in document.items() if key != "description"}
    return document
