"""Variables in compose and env files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.compose.substitution import substitute
from hpcbake.bakefile.csvfields import MalformedValueError

ENVIRONMENT = {"A": "1", "E": "", "Long_Name2": "x"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A${A}", "11"), ("$Long_Name2-", "x-"), ("$$A", "$A"), ("$", "$"), ("a$", "a$"), ("$1", "$1"),
        ("${N:-d}", "d"), ("${N-d}", "d"), ("${E:-d}", "d"), ("${E-d}", ""), ("${A:-d}", "1"),
        ("${A:+y}", "y"), ("${E:+y}", ""), ("${E+y}", "y"), ("${N+y}", ""), ("${A:?m}", "1"), ("${E?m}", ""),
        ("${N:-${M:-c}d}", "cd"), ("${N:-{}}", "{}"), ("${N:-a:?b}", "a:?b"), ("$N", ""), ("${N:-$A}", "1"),
    ],
)  # fmt: skip
def test_variables_are_replaced(text: str, result: str) -> None:
    """Every form of the compose specification."""
    assert substitute(text, ENVIRONMENT.get) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${N:?say so}", "required variable N is missing a value: say so"),
        ("${E:?}", "required variable E is missing a value"),
        ("${N?a $A}", "missing a value: a 1"),
        ("${}", "invalid interpolation"),
        ("${A", "invalid interpolation"),
        ("${A!b}", "invalid interpolation"),
        ("${1}", "invalid interpolation"),
    ],
)
def test_what_cannot_be_replaced_is_said(text: str, message: str) -> None:
    """Required variables, and braces that hold none."""
    with pytest.raises(MalformedValueError, match=message):
        substitute(text, ENVIRONMENT.get)


def test_unset_variables_are_told() -> None:
    """Once per use, and not where there is a default."""
    unset: list[str] = []
    substitute("$N ${M} ${O:-d} $A", ENVIRONMENT.get, unset.append)
    assert unset == ["N", "M"]


def test_deep_nesting_meets_a_limit() -> None:
    """A thousand defaults inside each other are an attack, not a file."""
    with pytest.raises(MalformedValueError, match="nested deeper"):
        substitute("${N:-" * 1000 + "}" * 1000, ENVIRONMENT.get)


@given(st.text(st.sampled_from("$A{}:-?+ab1")))
def test_any_text_is_replaced_or_refused(text: str) -> None:
    """Nothing but MalformedValueError comes out."""
    try:
        assert isinstance(substitute(text, ENVIRONMENT.get), str)
    except MalformedValueError as malformed:
        assert malformed.help
