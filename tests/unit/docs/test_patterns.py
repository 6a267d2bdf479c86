"""The patterns of docs/how-to/bake-patterns.md come to what the page says, and lint has nothing against them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpcbake.bakefile import BakeRequest, resolve
from hpcbake.bakefile.lint import RULES, lint
from hpcbake.bakefile.resolve import plan_of, read_request

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to/bake-patterns.md"
TEXT = PAGE.read_text(encoding="utf-8")
PATTERNS = dict(re.findall(r"^```hcl (\S+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
TEAM = "registry.example.org/team"


def plan(folder: Path, *names: str, environment: Mapping[str, str] | None = None, target: str = "default") -> Any:
    """The targets of a pattern, as `hpcbake print` shows them. A second name is the override file."""
    for name, file in zip(names, ("docker-bake.hcl", "docker-bake.override.hcl"), strict=False):
        (folder / file).write_text(PATTERNS[name])
    request = BakeRequest(targets=(target,))
    return resolve(request, folder=folder, environment=environment or {}).as_json()["target"]


def test_the_page_has_the_patterns() -> None:
    """A block that lost its name would not be tested."""
    assert set(PATTERNS) == {
        *("values", "inherit", "matrix", "children", "conditional-cache", "caches", "override"),
    }
    assert not re.findall(r"^```hcl\n", TEXT, re.MULTILINE)


def test_computed_values_follow_their_variables(tmp_path: Path) -> None:
    """Tags of the version and of its series; the environment sets the variable."""
    assert plan(tmp_path, "values")["default"]["tags"] == [f"{TEAM}/solver:2.5.1", f"{TEAM}/solver:2.5"]
    other = plan(tmp_path, "values", environment={"VERSION": "3.0.7"})
    assert other["default"]["tags"] == [f"{TEAM}/solver:3.0.7", f"{TEAM}/solver:3.0"]


def test_lists_are_replaced_and_maps_are_merged(tmp_path: Path) -> None:
    """What the page says of `viewer`; and the abstract parent is not built."""
    found = plan(tmp_path, "inherit")
    assert found["viewer"]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert found["viewer"]["args"] == {"MPI": "openmpi", "DEBUG": "yes"}
    assert found["solver"]["args"] == {"MPI": "openmpi", "DEBUG": "no"}
    assert set(found) == {"solver", "viewer"}


def test_a_matrix_is_a_group_of_all_its_targets(tmp_path: Path) -> None:
    """Three Pythons on two bases are six targets; a group of one's own takes two of them."""
    assert set(plan(tmp_path, "matrix")) == {
        f"solver-py{python}-{base}" for python in ("39", "311", "312") for base in ("rocky8", "rocky9")
    }
    assert set(plan(tmp_path, "matrix", target="python-three-nine")) == {"solver-py39-rocky8", "solver-py39-rocky9"}
    one = plan(tmp_path, "matrix", target="solver-py312-rocky9")["solver-py312-rocky9"]
    assert one["args"] == {"PYTHON": "3.12", "BASE": "rockylinux/rockylinux:9.6"}


def test_children_bring_their_base_along(tmp_path: Path) -> None:
    """The base is in the plan because the children link to it, and it pushes nothing."""
    found = plan(tmp_path, "children")
    assert set(found) == {"toolchain", "app-mesh", "app-solve", "app-plot"}
    assert "tags" not in found["toolchain"]
    assert found["app-mesh"]["contexts"] == {"toolchain": "target:toolchain"}


@pytest.mark.parametrize(("ci", "writes"), [({}, False), ({"CI": "true"}, True)])
def test_only_ci_writes_the_cache(tmp_path: Path, ci: Mapping[str, str], writes: bool) -> None:
    """Everybody reads it."""
    target = plan(tmp_path, "conditional-cache", environment=ci)["default"]
    assert target["cache-from"] == [{"type": "registry", "ref": f"{TEAM}/solver:cache"}]
    assert bool(target.get("cache-to")) is writes


def test_every_kind_of_cache_is_read_as_meant(tmp_path: Path) -> None:
    """Entries become what buildx prints for them."""
    found = plan(tmp_path, "caches")
    kinds = {name: target["cache-to"][0]["type"] for name, target in found.items()}
    assert kinds == {"github": "gha", "s3": "s3", "azure": "azblob", "inline": "inline"}
    assert found["s3"]["cache-to"][0]["prefix"] == "solver/"


def test_the_override_wins(tmp_path: Path) -> None:
    """It is read after the bake file, and its variable's default replaces the one there."""
    target = plan(tmp_path, "conditional-cache", "override")["default"]
    assert target["tags"] == ["localhost:5000/me/solver:1"]
    assert target["platforms"] == ["linux/amd64"]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_lint_has_nothing_against_it(tmp_path: Path, name: str) -> None:
    """Apart from the Dockerfiles that are not there."""
    (tmp_path / "docker-bake.hcl").write_text(PATTERNS[name])
    request = BakeRequest()
    read = read_request(request, folder=tmp_path, environment={})
    report = lint(
        read, plan_of(read, request, folder=tmp_path, environment={}), folder=tmp_path, today=date(2026, 6, 1)
    )
    assert {finding.name for finding in report.findings} <= {"dockerfile-missing"}


def test_rules_that_the_page_names_exist() -> None:
    """A rule that is renamed is noticed here."""
    names = {rule.name for rule in RULES}
    said = {name for name in names if re.search(rf"\b{name}\b", TEXT)}
    table = re.findall(
        r"\b((?:base|platform|dnf|copy|override|python|build|duplicate|dockerignore)-[a-z0-9-]+)\b", TEXT
    )
    assert set(table) - {"build-push", "python-three-nine"} <= said
    assert len(said) >= 8


def test_the_ci_files_are_yaml() -> None:
    """Both can be pasted as they stand."""
    github, gitlab = (
        yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    )
    assert github["jobs"]["ship"]["steps"][-1]["run"].startswith("hpcbake build")
    assert "hpcbake lint --strict" in gitlab["ship"]["script"]
