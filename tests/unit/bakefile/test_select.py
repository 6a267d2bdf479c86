"""Names on the command line lead to targets and to the groups that are printed."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.select import select
from hpcbake.errors import UsageError
from tests.unit.bakefile.definitions import group, model, target

MODEL = model(
    target("app"),
    target("db"),
    target("tool_x"),
    group("all", "web", "db", description="everything"),
    group("web", "app"),
    group("db", "db", "app"),
)


def test_nothing_asked_means_default() -> None:
    """The default group is sorted, whatever its order in the file."""
    selection = select(model(target("b"), target("a"), group("default", "b", "a")), ())
    assert selection.targets == ("b", "a")
    assert [(g.name, g.targets) for g in selection.groups] == [("default", ("a", "b"))]


def test_a_group_name_wins_over_a_target_name() -> None:
    """`db` is a group that holds the target db."""
    selection = select(MODEL, ["db"])
    assert selection.targets == ("db", "app")
    assert {g.name: g.targets for g in selection.groups} == {"db": ("db", "app"), "default": ("db",)}


def test_every_group_met_is_printed() -> None:
    """Nested groups are shown, and `default` holds what was asked for."""
    groups = {g.name: g for g in select(MODEL, ["all"]).groups}
    assert set(groups) == {"all", "web", "db", "default"}
    assert groups["default"].targets == ("all",)
    assert groups["all"].description == "everything"


def test_a_default_group_grows_by_what_else_was_asked_for() -> None:
    """A default group that is asked for keeps its own list; other names join it."""
    selection = select(model(target("a"), target("b"), group("default", "b")), ["default", "a"])
    assert [g.targets for g in selection.groups] == [("a", "b")]


def test_wildcards_match_groups_and_targets() -> None:
    """path.Match over groups first, then targets."""
    assert select(MODEL, ["tool*"]).targets == ("tool_x",)
    assert select(MODEL, ["[ad]?[pb]"]).targets == ("app",)
    assert select(MODEL, ["d?"]).targets == ("db", "app")


def test_a_dot_on_the_command_line_is_an_underscore() -> None:
    """Compose services may have dots in their names."""
    assert select(MODEL, ["tool.x"]).targets == ("tool_x",)


def test_a_wildcard_without_a_match_is_an_error() -> None:
    """A pattern that matches nothing is a mistake, not an empty build."""
    with pytest.raises(UsageError, match="could not find any target matching"):
        select(MODEL, ["nope*"])


def test_groups_in_a_circle_end_at_the_target_of_that_name() -> None:
    """A group met again while it is open stands for a target."""
    selection = select(model(group("x", "y"), group("y", "x"), target("x")), ["x"])
    assert selection.targets == ("x",)


def test_an_empty_group_inside_a_group_stands_for_a_target() -> None:
    """buildx looks for a target of that name; so do we, and the look-up says what is missing."""
    assert select(model(group("x", "y"), group("y")), ["x"]).targets == ("y",)


def test_deeply_nested_groups_are_answered() -> None:
    """Thirty doublings would be a thousand million names if lists were copied."""
    groups = [group("g0", "t")] + [group(f"g{i}", f"g{i - 1}", f"g{i - 1}") for i in range(1, 5000)]
    selection = select(model(target("t"), *groups), ["g4999"])
    assert selection.targets == ("t",)
    assert len(selection.groups) == 5001
