"""Near misses get a suggestion, others a list."""

from __future__ import annotations

from hpcbake.bakefile.suggestion import did_you_mean, nearest


def test_the_nearest_word_is_found() -> None:
    """Letters swapped, case, and underscores for dashes."""
    assert nearest("tagz", ["tags", "target"]) == "tags"
    assert nearest("Cache_From", ["cache-from"]) == "cache-from"
    assert nearest("zzz", ["tags"]) is None


def test_without_a_near_word_the_known_ones_are_listed() -> None:
    """The first dozen; none is said too."""
    assert did_you_mean("x", ["one", "two"], what="target") == "there is: one, two"
    assert did_you_mean("x", [f"name{i:02}" for i in range(20)], what="target").endswith("and 8 more")
    assert did_you_mean("x", [], what="target") == "there are no targets"


def test_a_multitude_is_not_searched() -> None:
    """A suggestion is not worth a minute."""
    assert nearest("name1", [f"name{i}" for i in range(6000)]) is None
