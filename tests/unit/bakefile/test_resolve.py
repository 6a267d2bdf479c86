"""From files to a plan: the order of things, limits, and what the plan carries beside the JSON."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hpcbake.bakefile import BakeRequest, portable_plan, resolve
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.errors import UsageError
from hpcbake.model.plan import Plan


def plan_of(folder: Path, files: dict[str, str], *targets: str, environment: dict[str, str] | None = None) -> Plan:
    for name, text in files.items():
        (folder / name).write_text(text)
    return resolve(BakeRequest(targets=targets), folder=folder, environment=environment or {})


def test_compose_comes_before_bake_whatever_its_place(tmp_path: Path) -> None:
    """A bake file is laid over compose services, never the other way round."""
    (tmp_path / "a.hcl").write_text('target "web" {\n  tags = ["bake"]\n}\n')
    (tmp_path / "b.yaml").write_text("services:\n  web:\n    image: compose\n    build: app\n")
    plan = resolve(BakeRequest(files=("a.hcl", "b.yaml")), folder=tmp_path, environment={})
    assert plan.targets["web"].tags == ("bake",)
    assert plan.targets["web"].context == "app"
    assert plan.files == ("a.hcl", "b.yaml")


def test_the_epoch_of_the_environment_becomes_an_argument(tmp_path: Path) -> None:
    """Of every target that does not set it, linked ones too."""
    plan = plan_of(
        tmp_path,
        {
            "docker-bake.hcl": 'target "a" {\n  contexts = { b = "target:b" }\n}\ntarget "b" {}\n'
            'target "c" {\n  args = { SOURCE_DATE_EPOCH = "1" }\n}\n'
        },
        "a",
        "c",
        environment={"SOURCE_DATE_EPOCH": "7"},
    )
    epochs = {name: t.attributes["args"] for name, t in plan.targets.items()}
    assert epochs == {
        "a": {"SOURCE_DATE_EPOCH": "7"},
        "b": {"SOURCE_DATE_EPOCH": "7"},
        "c": {"SOURCE_DATE_EPOCH": "1"},
    }


def test_the_environment_can_be_shut_out(tmp_path: Path) -> None:
    """As buildx 0.31 allows, for builds that must not depend on who starts them."""
    files = {"docker-bake.hcl": 'variable "A" {\n  default = "d"\n}\ntarget "default" {\n  args = { A = A }\n}\n'}
    shut = {"A": "e", "BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP": "1"}
    assert plan_of(tmp_path, files, environment=shut).targets["default"].attributes["args"] == {"A": "d"}


def test_warnings_of_both_halves_travel_with_the_plan(tmp_path: Path) -> None:
    """A misspelt attribute and a circle of parents, each once."""
    plan = plan_of(
        tmp_path,
        {"docker-bake.hcl": 'target "a" {\n  inherits = ["b"]\n  tagz = []\n}\ntarget "b" {\n  inherits = ["a"]\n}\n'},
        "a",
        "b",
    )
    assert [w.code for w in plan.warnings] == ["HB-BAKE-061", "HB-BAKE-211"]
    assert [w.line for w in plan.warnings] == [3, 6]


def test_a_group_with_an_unknown_member_is_blamed_at_the_group(tmp_path: Path) -> None:
    """Not at the command line that asked for the group."""
    with pytest.raises(BakeFileError, match=r"docker-bake\.hcl:1:1: group default holds ap, which is not a target"):
        plan_of(tmp_path, {"docker-bake.hcl": 'group "default" {\n  targets = ["ap"]\n}\ntarget "app" {}\n'})


def test_a_missing_default_lists_what_there_is(tmp_path: Path) -> None:
    """Somebody who types nothing gets the names to type."""
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path, {"docker-bake.hcl": 'target "app" {}\n'})
    assert caught.value.message == "failed to find target default"
    assert "app" in caught.value.remedy


def test_a_remote_definition_is_refused(tmp_path: Path) -> None:
    """Before any file is looked for."""
    with pytest.raises(UsageError, match="remote"):
        plan_of(tmp_path, {}, "https://git.example.org/hpc/app.git")


def test_a_portable_plan_resolves_to_itself(tmp_path: Path) -> None:
    """Handing the resolved plan back as a bake file changes nothing, however hostile its texts are."""
    hostile = '$${a} %%{b} $$$${c} \\"q\\" , = \\n é \\\\ $'
    files = {
        "docker-bake.hcl": 'target "default" {\n'
        f'  args = {{ A = "{hostile}", "$${{k}}" = "v" }}\n'
        f'  labels = {{ l = "{hostile}" }}\n'
        f'  tags = ["a:1"]\n  target = "{hostile}"\n'
        f'  output = [{{ type = "image", name = "a,b", note = "{hostile}" }}, "type=local,dest=out"]\n'
        '  cache-from = ["user/app:cache", { type = "s3", region = "eu,west" }]\n'
        '  secret = [{ id = "a", env = "B" }, "id=c,env=D"]\n'
        '  attest = ["type=provenance,disabled=true", { type = "sbom", generator = "x=y" }]\n}\n'
    }
    plan = plan_of(tmp_path, files)
    import json

    other = tmp_path / "again"
    other.mkdir()
    again = plan_of(other, {"docker-bake.json": json.dumps(portable_plan(plan))})
    assert again.as_json() == plan.as_json()


def test_two_thousand_targets_are_quick(tmp_path: Path) -> None:
    """A matrix of 2,000 with a parent and links resolves in seconds."""
    text = (
        'target "base" {\n  args = { A = "1" }\n}\n'
        'target "app" {\n  name = "app-${a}-${b}"\n'
        "  matrix = { a = range(40), b = range(50) }\n"
        '  inherits = ["base"]\n  tags = ["app:${a}-${b}"]\n  contexts = { base = "target:base" }\n}\n'
    )
    start = time.monotonic()
    plan = plan_of(tmp_path, {"docker-bake.hcl": text}, "app")
    assert len(plan.targets) == 2001
    assert time.monotonic() - start < 20


def test_a_chain_of_linked_targets_of_any_length(tmp_path: Path) -> None:
    """A thousand links in a row are followed without recursion."""
    chain = "".join(f'target "t{i}" {{\n  contexts = {{ b = "target:t{i - 1}" }}\n}}\n' for i in range(1, 1100))
    plan = plan_of(tmp_path, {"docker-bake.hcl": 'target "t0" {}\n' + chain}, "t1099")
    assert len(plan.targets) == 1100
