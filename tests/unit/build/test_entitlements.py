"""What a build asks for beyond its folder and its sandbox: all of it is found, and nothing is granted by the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpcbake.build.document import Shipment
from hpcbake.build.entitlements import Need, missing_entitlements, needed_entitlements
from hpcbake.model.plan import Plan, Target
from hpcbake.model.reference import parse_image_reference

TAG = parse_image_reference("registry.example.org/team/app:1")


def needs(folder: Path, **targets: dict[str, Any]) -> list[str]:
    plan = Plan({name: Target(name, attributes) for name, attributes in targets.items()}, {})
    return [need.grant for need in needed_entitlements(plan, [Shipment(plan.targets["app"], (TAG,))], folder)]


@pytest.mark.parametrize(
    ("attributes", "grants"),
    [
        ({}, []),
        ({"context": ".", "dockerfile": "Dockerfile"}, []),
        ({"context": "sub/folder"}, []),
        ({"entitlements": ["network.host", "security.insecure"]}, ["network.host", "security.insecure"]),
        ({"network": "host"}, ["network.host"]),
        ({"network": "none"}, []),
        ({"ssh": ["default"]}, ["ssh"]),
        ({"context": "/elsewhere"}, ["fs.read=/elsewhere"]),
        ({"context": "https://example.org/repo.git"}, []),
        ({"context": "git@example.org:repo.git"}, []),
        ({"context": ".", "dockerfile": "/elsewhere/Dockerfile"}, ["fs.read=/elsewhere/Dockerfile"]),
        ({"contexts": {"a": "docker-image://alpine", "b": "/elsewhere", "c": "target:other"}}, ["fs.read=/elsewhere"]),
        ({"contexts": {"a": "oci-layout:///elsewhere@sha256:1"}}, ["fs.read=/elsewhere"]),
        ({"secret": ["id=x,src=/elsewhere/token"]}, ["fs.read=/elsewhere/token"]),
        ({"secret": [{"id": "x", "src": "/elsewhere/token"}]}, ["fs.read=/elsewhere/token"]),
        ({"secret": ["type=env,id=x,src=TOKEN", "id=y,env=TOKEN", "id=z,src=token"]}, []),
        ({"cache-to": ["type=local,dest=/elsewhere"]}, ["fs.write=/elsewhere"]),
        ({"cache-from": ["type=local,src=/elsewhere", "user/app:cache"]}, ["fs.read=/elsewhere"]),
        ({"cache-to": ["type=registry,ref=r/app:cache"]}, []),
    ],
)
def test_what_is_asked_for(tmp_path: Path, attributes: dict[str, Any], grants: list[str]) -> None:
    """Derived from the plan, whatever the file says of it."""
    assert needs(tmp_path, app=attributes) == grants


def test_a_link_out_of_the_folder_is_outside(tmp_path: Path) -> None:
    """Where it leads counts; the same for `..` that comes back."""
    (tmp_path / "project").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "project/link").symlink_to(tmp_path / "data")
    assert needs(tmp_path / "project", app={"context": "link"}) == [f"fs.read={tmp_path / 'data'}"]
    assert needs(tmp_path / "project", app={"context": "../project"}) == []
    assert needs(tmp_path / "project", app={"context": ".."}) == [f"fs.read={tmp_path}"]


def test_helpers_count_and_strangers_do_not(tmp_path: Path) -> None:
    """What a shipped target is built from is built as well; circles end."""
    linked = {"contexts": {"base": "target:base"}}
    base = {"network": "host", "contexts": {"app": "target:app", "gone": "target:gone"}}
    assert needs(tmp_path, app=linked, base=base, stranger={"ssh": ["default"]}) == ["network.host"]


@pytest.mark.parametrize(
    ("granted", "wanted", "is_missing"),
    [
        ([], "network.host", True),
        (["network.host"], "network.host", False),
        (["network"], "network.host", True),
        (["security.insecure"], "network.host", True),
        (["fs.read=/data"], "fs.read=/data/deep/file", False),
        (["fs.read=/dat"], "fs.read=/data", True),
        (["fs.read=/data"], "fs.write=/data", True),
        (["fs=/data"], "fs.write=/data", False),
        (["fs.read=*"], "fs.read=/anything", False),
        (["fs=*"], "fs.read=/anything", False),
        (["fs.read="], "fs.read=/anything", True),
        (["fs.read=/data/deep"], "fs.read=/data", True),
    ],
)
def test_a_grant_covers_itself_and_what_is_in_it(granted: list[str], wanted: str, is_missing: bool) -> None:
    """And nothing beside it."""
    assert bool(missing_entitlements([Need(wanted, "app", "because")], granted)) is is_missing
