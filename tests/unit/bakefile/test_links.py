"""`target:` contexts bring other targets into the plan."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.inherit import Inheritance
from hpcbake.bakefile.links import link_targets
from hpcbake.bakefile.model import BakeModel
from tests.unit.bakefile.definitions import group, model, target


def link(from_model: BakeModel, *names: str) -> dict[str, Attributes]:
    inheritance = Inheritance(from_model, lambda _name, attributes: attributes)
    return link_targets(from_model, {name: inheritance.resolve(name) for name in names}, inheritance.resolve)


def test_a_linked_target_joins_without_its_outputs() -> None:
    """It is built for its layers only, unless it was asked for itself."""
    linked = model(target("base", output=["type=image"]), target("app", contexts={"b": "target:base"}))
    assert link(linked, "app")["base"]["output"] == [{"type": "cacheonly"}]
    assert link(linked, "app", "base")["base"]["output"] == [{"type": "image"}]


def test_entitlements_of_linked_targets_are_needed_too() -> None:
    """They travel along the whole chain."""
    plan = link(
        model(
            target("a", entitlements=["security.insecure"]),
            target("b", contexts={"x": "target:a"}),
            target("c", contexts={"x": "target:b"}, entitlements=["network.host"]),
        ),
        "c",
    )
    assert plan["c"]["entitlements"] == ["network.host", "security.insecure"]


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ([target("a", contexts={"x": "target:a"})], "target a cannot link to itself"),
        (
            [target("a", contexts={"x": "target:b"}), target("b", contexts={"x": "target:a"})],
            "infinite loop from b to a",
        ),
        ([target("a", contexts={"x": "target:nope"})], "links to nope, which is not a target"),
        (
            [
                target("a", contexts={"x": "target:b"}, platforms=["linux/amd64", "linux/arm64"]),
                target("b", platforms=["linux/amd64", "linux/386"]),
            ],
            "its platforms",
        ),
    ],
)
def test_links_that_cannot_work_are_refused(definitions: list[object], message: str) -> None:
    """To itself, in a circle, to nothing, or across platforms that do not fit."""
    with pytest.raises(BakeFileError, match=message):
        link(model(*definitions), "a")  # type: ignore[arg-type]


def test_a_group_cannot_be_a_context() -> None:
    """The message says that it is a group."""
    with pytest.raises(BakeFileError, match="g is a group"):
        link(model(target("a", contexts={"x": "target:g"}), group("g", "a")), "a")


def test_a_lattice_of_links_is_walked_once() -> None:
    """Each of 60 levels links twice to the next: walking every path would never end."""
    levels = [target("t0")] + [
        target(f"t{i}", contexts={"x": f"target:t{i - 1}", "y": f"target:t{i - 1}"}) for i in range(1, 60)
    ]
    assert len(link(model(*levels), "t59")) == 60
