"""Before a build: each target's builder, where it builds natively, and what nobody granted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpcbake.build.document import Shipment
from hpcbake.cli.build_ahead import ask_entitlements, emulation_warnings, make_workshop, place_lines
from hpcbake.errors import BuildError, ExitCode
from hpcbake.model.builders import BuilderInfo, BuilderNode
from hpcbake.model.plan import Plan, Target
from hpcbake.model.reference import parse_image_reference
from hpcbake.ship.project_parts import Builders

TAG = parse_image_reference("registry.example.org/team/app:1")
MAC = BuilderInfo("desktop", "docker", (BuilderNode("desktop", platforms=("linux/arm64", "linux/amd64")),))
AMD = BuilderInfo("farm", "docker-container", (BuilderNode("farm0", platforms=("linux/amd64",)),))


def shipments(*names: str) -> list[Shipment]:
    return [Shipment(Target(name, {}), (TAG,)) for name in names]


class FakeBuildx:
    """A builder that describes itself."""

    def __init__(self, builder: str | None) -> None:
        self.name = builder

    def describe(self) -> BuilderInfo:
        return AMD if self.name == "farm" else MAC


def workshop(builders: Builders, flag: str | None, *names: str) -> Any:
    return make_workshop(shipments(*names), builders, flag, FakeBuildx)  # type: ignore[arg-type]


def test_each_target_has_the_builder_that_the_project_names() -> None:
    """A flag is for all of them."""
    project = Builders(None, (("farm", ("big-*",)),))
    assert list(workshop(project, None, "big-a", "app").builders) == ["farm", None]
    assert list(workshop(project, "mine", "big-a", "app").builders) == ["mine"]
    assert list(workshop(Builders("farm"), None, "app").builders) == ["farm"]


def test_emulation_is_told_with_its_remedy() -> None:
    """Each builder once, with its targets; a native one is no warning."""
    made = workshop(Builders(None, (("farm", ("big",)),)), None, "app", "tool", "big")
    places = made.places(shipments("app", "tool", "big"))
    assert place_lines(places) == [
        "app, tool: linux/amd64: EMULATED on node desktop (arm64), builder desktop (docker)",
        "big: linux/amd64: native on node farm0 (amd64), builder farm (docker-container)",
    ]
    (warning,) = emulation_warnings(places)
    assert warning.startswith("app, tool: built under emulation")
    assert "hpcbake builder add ssh://" in warning


def test_what_nobody_granted_ends_the_run_and_names_the_flags(tmp_path: Path) -> None:
    """Where nobody can be asked; what is granted is handed on."""
    plan = Plan({"app": Target("app", {"network": "host", "secret": ["id=x,src=/else where/token"]})}, {})
    with pytest.raises(BuildError) as caught:
        ask_entitlements(plan, shipments("app"), ["network.host"], folder=tmp_path)
    assert caught.value.exit_code is ExitCode.BUILD
    assert caught.value.remedy.endswith("--allow 'fs.read=/else where/token'")
    assert "the secret 'x'" in str(caught.value.evidence["output"])
    granted = ["network.host", "fs.read=/else where"]
    assert ask_entitlements(plan, shipments("app"), granted, folder=tmp_path) == tuple(granted)
