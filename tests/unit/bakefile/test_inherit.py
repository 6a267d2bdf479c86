"""A target stands on its resolved parents."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.inherit import Inheritance
from tests.unit.bakefile.definitions import group, model, target


def unchanged(_name: str, attributes: Attributes) -> Attributes:
    return attributes


def test_later_parents_beat_earlier_and_the_target_beats_all() -> None:
    """Parents apply in the order of `inherits`."""
    inheritance = Inheritance(
        model(
            target("a", tags=["a"], args={"X": "a", "Y": "a", "Z": "a"}),
            target("b", tags=["b"], args={"X": "b", "Y": "b"}),
            target("c", inherits=["a", "b"], args={"X": "c"}),
        ),
        unchanged,
    )
    assert inheritance.resolve("c") == {
        "tags": ["b"],
        "args": {"X": "c", "Y": "b", "Z": "a"},
        "context": ".",
        "dockerfile": "Dockerfile",
    }


def test_an_empty_dockerfile_is_the_default_one() -> None:
    """`dockerfile = ""` means Dockerfile, `context = ""` stays for the path to be cleaned."""
    assert Inheritance(model(target("a", dockerfile="", context="")), unchanged).resolve("a") == {
        "context": "",
        "dockerfile": "Dockerfile",
    }


def test_overrides_of_a_parent_reach_its_children() -> None:
    """A parent is overridden before its children inherit from it."""

    def override(name: str, attributes: Attributes) -> Attributes:
        return {**attributes, "target": "set"} if name == "base" else attributes

    inheritance = Inheritance(
        model(
            target("base", target="a"), target("app", inherits=["base"]), target("own", inherits=["base"], target="b")
        ),
        override,
    )
    assert inheritance.resolve("app")["target"] == "set"
    assert inheritance.resolve("own")["target"] == "b"


def test_a_circle_is_tolerated_with_a_warning() -> None:
    """The target being resolved contributes nothing to itself, whichever target of the circle comes first."""
    inheritance = Inheritance(
        model(target("a", inherits=["b"], args={"A": "1"}), target("b", inherits=["a"], args={"B": "2"})), unchanged
    )
    assert inheritance.resolve("a")["args"] == {"B": "2", "A": "1"}
    assert inheritance.resolve("b")["args"] == {"A": "1", "B": "2"}
    assert "inherits a, which inherits b again" in inheritance.warnings[0].message


def test_what_depends_on_where_the_walk_began_is_not_remembered() -> None:
    """b seen from a lacks c's turn through a; seen from itself it does not."""
    inheritance = Inheritance(
        model(
            target("a", inherits=["b"], tags=["a"]), target("b", inherits=["c"], call="b"), target("c", inherits=["a"])
        ),
        unchanged,
    )
    assert inheritance.resolve("a")["tags"] == ["a"]
    assert inheritance.resolve("b")["tags"] == ["a"]
    assert inheritance.resolve("c")["tags"] == ["a"]


def test_a_very_long_chain_is_answered() -> None:
    """Five thousand generations are followed without recursion."""
    chain = [target("t0", args={"A": "1"}), *(target(f"t{i}", inherits=[f"t{i - 1}"]) for i in range(1, 5000))]
    assert Inheritance(model(*chain), unchanged).resolve("t4999")["args"] == {"A": "1"}


def test_an_unknown_parent_is_named_with_the_nearest_target() -> None:
    """The message says who inherits what, where, and what was probably meant."""
    with pytest.raises(BakeFileError) as caught:
        Inheritance(model(target("base"), target("app", inherits=["bsae"])), unchanged).resolve("app")
    assert "target app inherits bsae, which is not a target" in caught.value.message
    assert "did you mean base?" in caught.value.message
    assert "docker-bake.hcl:1:1" in caught.value.message


def test_a_group_is_not_a_parent() -> None:
    """Matrix groups are tried as parents often enough to deserve their own words."""
    with pytest.raises(BakeFileError, match="g is a group"):
        Inheritance(model(target("app", inherits=["g"]), group("g", "app")), unchanged).resolve("app")


@pytest.mark.stand
def test_large_circles_meet_a_limit_that_is_named() -> None:
    """Twelve hundred targets in one circle, each asked for: what they mean depends on where one starts."""
    names = [f"t{i}" for i in range(1200)]
    circle = model(*(target(name, inherits=[names[i - 1]]) for i, name in enumerate(names)))
    inheritance = Inheritance(circle, unchanged)
    with pytest.raises(BakeFileError, match="more than 100,000 steps"):
        for name in names:
            inheritance.resolve(name)
