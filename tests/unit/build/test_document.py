"""The definition handed to BuildKit: for the sites' platform, pushed where nobody runs from it yet."""

from __future__ import annotations

import pytest

from hpcbake.build.document import build_document, find_shipments, is_site_platform
from hpcbake.errors import ConfigError
from hpcbake.model.plan import Group, JsonValue, Plan, Target


def plan(*targets: Target, default: list[str] | None = None) -> Plan:
    groups = {"default": Group("default", tuple(default))} if default is not None else {}
    return Plan({target.name: target for target in targets}, groups)


def target(name: str = "app", **attributes: JsonValue) -> Target:
    return Target(name, {"context": ".", "tags": [f"registry.example.org/team/{name.lower()}:1"], **attributes})


def entry(document: dict[str, JsonValue], name: str) -> dict[str, JsonValue]:
    targets = document["target"]
    assert isinstance(targets, dict)
    found = targets[name]
    assert isinstance(found, dict)
    return found


def test_what_was_asked_for_ships() -> None:
    """In order, each once, groups opened; what is only linked is built and does not ship."""
    given = plan(target("a"), target("b"), target("helper", tags=[]), default=["b", "a", "b"])
    assert [shipment.name for shipment in find_shipments(given)] == ["b", "a"]


def test_a_circle_of_groups_ends() -> None:
    """buildx refuses it; we must not hang."""
    groups = {"default": Group("default", ("x",)), "x": Group("x", ("default", "a"))}
    assert [shipment.name for shipment in find_shipments(Plan({"a": target("a")}, groups))] == ["a"]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (target(tags=[]), "has no tag"),
        (target(tags=["Not A Tag"]), "image reference"),
        (target(platforms=["linux/arm64"]), "linux/arm64"),
        (target("sif"), "cannot ship"),
        (target("modules"), "cannot ship"),
    ],
)
def test_what_cannot_ship_is_told(bad: Target, says: str) -> None:
    """Before anything is built."""
    with pytest.raises(ConfigError, match=says):
        find_shipments(plan(bad))


def test_a_tag_without_a_version_is_latest() -> None:
    """As docker has it."""
    (shipment,) = find_shipments(plan(target(tags=["registry.example.org/team/app"])))
    assert (shipment.version, str(shipment.tags[0])) == ("latest", "registry.example.org/team/app:latest")


@pytest.mark.parametrize(
    ("platform", "fits"),
    [("linux/amd64", True), ("linux/amd64/v3", True), ("linux/amd64v3", False), ("linux/arm64", False), ("", False)],
)
def test_sites_run_one_platform(platform: str, fits: bool) -> None:
    """And its levels."""
    assert is_site_platform(platform) is fits


def test_nothing_that_users_see_moves_in_a_build() -> None:
    """Pushed by digest, without a tag, for the sites' platform only."""
    given = plan(target(platforms=["linux/arm64", "linux/amd64"]))
    built = entry(build_document(given, find_shipments(given), by_digest=True), "app")
    assert (built["tags"], built["platforms"]) == ([], ["linux/amd64"])
    assert built["output"] == [
        'type=image,"name=registry.example.org/team/app",push-by-digest=true,name-canonical=true,push=true'
    ]


def test_a_builder_that_needs_a_tag_gets_one_of_ours() -> None:
    """In every repository of the target."""
    tags: list[JsonValue] = ["registry.example.org/a:1", "registry.example.org/a:2", "other.example.org/b:1"]
    given = plan(target("App", tags=tags))
    built = entry(build_document(given, find_shipments(given), by_digest=False), "App")
    assert built["tags"] == ["registry.example.org/a:hpcbake-staging-app", "other.example.org/b:hpcbake-staging-app"]
    assert built["output"] == ["type=image,push=true"]


def test_helpers_are_built_for_the_same_platform() -> None:
    """A base of another architecture would be no base."""
    given = plan(target(), target("base", platforms=["linux/arm64"]), default=["app"])
    built = build_document(given, find_shipments(given), by_digest=True)
    assert entry(built, "base")["platforms"] == ["linux/amd64"]


def test_the_plan_itself_is_not_changed() -> None:
    """It is shown again afterwards."""
    given = plan(target())
    before = dict(given.targets["app"].attributes)
    build_document(given, find_shipments(given), by_digest=True)
    assert dict(given.targets["app"].attributes) == before
