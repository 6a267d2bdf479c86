"""Every attribute merges by its rule, in files as in `inherits`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.attributes import PRINT_ORDER
from hpcbake.bakefile.merge import RULES, merge, normalise, without_duplicate_entries
from hpcbake.model.plan import JsonValue


def test_there_is_a_rule_for_every_attribute() -> None:
    """An attribute without a rule would silently replace."""
    assert set(RULES) == set(PRINT_ORDER)


@pytest.mark.parametrize(
    ("attribute", "earlier", "later", "merged"),
    [
        ("tags", ["a"], ["b"], ["b"]),
        ("tags", ["a"], [], []),
        ("platforms", ["linux/amd64"], ["linux/arm64"], ["linux/arm64"]),
        ("output", [{"type": "docker"}], [], []),
        ("cache-to", [{"type": "inline"}], [{"type": "gha"}], [{"type": "gha"}]),
        ("pull", True, False, False),
        ("description", "a", "", "a"),
        ("dockerfile", "a", "", ""),
        ("args", {"A": "1", "B": "2"}, {"B": "3", "A": None}, {"A": "1", "B": "3"}),
        ("labels", {"A": "1"}, {"B": "2"}, {"A": "1", "B": "2"}),
        ("contexts", {"a": "x"}, {"a": ""}, {"a": ""}),
        ("annotations", ["a=1"], ["a=1", "b=2"], ["a=1", "a=1", "b=2"]),
        ("attest", [{"type": "sbom"}, {"type": "provenance"}], [{"type": "sbom", "disabled": True}],
         [{"type": "sbom", "disabled": True}, {"type": "provenance"}]),
        ("secret", [{"id": "a", "src": "x"}], [{"id": "a", "env": "Y"}], [{"id": "a", "env": "Y"}]),
        ("ssh", [{"id": "a"}], [{"id": "b"}], [{"id": "a"}, {"id": "b"}]),
        ("inherits", ["a"], ["b"], ["a", "b"]),
    ],
)  # fmt: skip
def test_attributes_merge_by_their_rules(
    attribute: str, earlier: JsonValue, later: JsonValue, merged: JsonValue
) -> None:
    """Replace, merge maps, append, or one per key: as the table says."""
    assert merge({attribute: earlier}, {attribute: later}) == {attribute: merged}


def test_null_changes_nothing() -> None:
    """`tags = null` keeps the parent's tags."""
    assert merge({"tags": ["a"]}, {"tags": None}) == {"tags": ["a"]}


def test_duplicate_caches_leave_their_place_to_the_last_entry() -> None:
    """The order of cache imports is buildx's own, odd as it is: a, b + a, c, d gives a, b, d, c."""
    entries: dict[str, JsonValue] = {name: {"type": "registry", "ref": name} for name in "abcd"}
    merged = merge(
        {"cache-from": [entries["a"], entries["b"]]}, {"cache-from": [entries["a"], entries["c"], entries["d"]]}
    )
    assert merged["cache-from"] == [entries["a"], entries["b"], entries["d"], entries["c"]]


def test_merging_changes_neither_side() -> None:
    """A parent stays what it was for its next child."""
    parent: dict[str, JsonValue] = {"args": {"A": "1"}, "annotations": ["a=1"], "cache-from": [{"type": "gha"}]}
    child: dict[str, JsonValue] = {"args": {"A": "2"}, "annotations": ["b=1"], "cache-from": [{"type": "gha"}]}
    merge(parent, child)
    assert parent == {"args": {"A": "1"}, "annotations": ["a=1"], "cache-from": [{"type": "gha"}]}
    assert child == {"args": {"A": "2"}, "annotations": ["b=1"], "cache-from": [{"type": "gha"}]}


def test_normalising_drops_duplicates_and_empty_texts() -> None:
    """Lists of text keep each text once, at its first place; contexts lose what was cleared."""
    assert normalise(
        {"tags": ["a", "", "b", "a"], "contexts": {"x": "", "y": "z"}, "attest": [{"type": "sbom"}, {"type": "sbom"}]}
    ) == {"tags": ["a", "b"], "contexts": {"y": "z"}, "attest": [{"type": "sbom"}]}


def test_the_host_network_needs_its_entitlement() -> None:
    """`network = "host"` asks for network.host by itself, once."""
    assert normalise({"network": "host", "entitlements": ["network.host"]})["entitlements"] == ["network.host"]
    assert normalise({"network": "host"})["entitlements"] == ["network.host"]


def entries(*names: str) -> list[JsonValue]:
    return [{"type": "registry", "ref": name} for name in names]


@given(st.lists(st.sampled_from("abcd")))
def test_removing_duplicates_is_the_slow_rule_made_quick(names: list[str]) -> None:
    """Comparing all pairs from the back, as the rule is told, gives the same."""
    kept = entries(*names)
    for i in range(len(kept) - 2, -1, -1):
        for j in range(i + 1, len(kept)):
            if kept[i] == kept[j]:
                kept[j] = kept[-1]
                kept.pop()
                break
    assert without_duplicate_entries(entries(*names)) == kept


def test_twenty_thousand_entries_are_quick() -> None:
    """Comparing all pairs would take minutes."""
    assert len(without_duplicate_entries(entries(*map(str, range(20_000)), "1"))) == 20_000
