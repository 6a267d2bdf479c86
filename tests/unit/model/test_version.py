"""Versions are numbers, part by part, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.errors import ConfigError
from hpcbake.model.version import find_leading_version, parse_version, symbol_version_key


@pytest.mark.parametrize(("older", "newer"), [("2.4", "2.34"), ("2.9", "2.10"), ("2", "2.1"), ("9", "10")])
def test_versions_are_ordered_as_numbers(older: str, newer: str) -> None:
    """2.34 comes after 2.4, whatever strings say."""
    assert parse_version(older) < parse_version(newer)


@pytest.mark.parametrize("text", ["2.40", "2.30", "0.0.0", "10"])
def test_a_version_is_written_as_it_was_read(text: str) -> None:
    """2.40 is not 2.4."""
    assert str(parse_version(text)) == text


@pytest.mark.parametrize("text", ["", ".", "2.", ".2", "2..3", "v2", "2.3\n", "2,3", "²", "2.-1", "9" * 5000])
def test_what_is_no_version_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigError):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "leading"),
    [("4.18.0-553.el8_10.x86_64", "4.18.0"), ("2.28-236", "2.28"), ("el8", None), ("", None), ("9" * 5000, None)],
)
def test_a_release_begins_with_a_version(text: str, leading: str | None) -> None:
    """Kernel and package releases carry their version in front."""
    found = find_leading_version(text)
    assert (str(found) if found else None) == leading


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text has a leading version or none, and a version is its own leading version."""
    found = find_leading_version(text)
    assert found is None or find_leading_version(str(found)) == found


def test_version_names_of_symbols_sort_as_numbers() -> None:
    """Whatever an image calls a version has its place, also a number that nobody could read."""
    names = ["GLIBC_2.34", "GLIBC_2.4", "GCC_7.0.0", "GLIBC_ABI_DT_RELR", "X_" + "9" * 5000]
    assert sorted(names, key=symbol_version_key) == [names[2], names[3], names[1], names[0], names[4]]
