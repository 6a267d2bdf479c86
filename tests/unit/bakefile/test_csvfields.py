"""One record of comma-separated values is split as RFC 4180 says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.csvfields import MalformedValueError, join_fields, split_fields


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a", ["a"]),
        ("a,b,", ["a", "b", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a""b"', ['a"b']),
        ('"",x', ["", "x"]),
        ('"a",', ["a", ""]),
        ("a\n", ["a"]),
        (" a , b", [" a ", " b"]),
    ],
)
def test_fields_are_split_at_commas_outside_quotes(line: str, fields: list[str]) -> None:
    """Quotes protect commas, doubled quotes are quotes, blanks stay, one line end is dropped."""
    assert split_fields(line) == fields


@pytest.mark.parametrize("line", ["", 'a"b', '"a', '"a"b', 'x,"a"b', "\n"])
def test_stray_quotes_and_nothing_are_refused(line: str) -> None:
    """What encoding/csv of Go refuses is refused here."""
    with pytest.raises(MalformedValueError):
        split_fields(line)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_joined_fields_split_into_the_same_fields(fields: list[str]) -> None:
    """Whatever a value holds, writing it as a string entry and reading it back changes nothing."""
    assert split_fields(join_fields(fields)) == fields
