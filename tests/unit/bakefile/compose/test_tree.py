"""YAML as go-yaml reads it, with places, and with limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.compose.tree import Node, go_float, parse_yaml
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.source import SourceFile


def parse(text: str) -> list[Node]:
    return parse_yaml(SourceFile("compose.yaml", text, "compose"))


def test_places_survive_aliases_and_merges() -> None:
    """A value is blamed where it was written, not where it is used."""
    (document,) = parse("x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n")
    y = document.get("y")
    assert y is not None
    assert y.plain() == {"a": 1, "b": 2}
    assert {key: node.span.line for key, node in y.mapping.items()} == {"a": 2, "b": 5}
    assert y.mapping["a"].key_span is not None
    assert y.mapping["a"].key_span.text == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "written twice"),
        ("1: a\n", "non-string key"),
        ("a: [1\n", "not YAML"),
        ("a: *b\n", "(?i)anchor"),
        ("a: !!bool yes\n", "is not a bool"),
        ("[" * 300 + "]" * 300, "nested deeper than 200 levels"),
        ("\x07", "not YAML"),
    ],
)
def test_what_is_not_a_compose_document_is_refused(text: str, message: str) -> None:
    """With a place, where there is one."""
    with pytest.raises(BakeFileError, match=message):
        parse(text)


def test_an_alias_bomb_meets_a_limit() -> None:
    """Ten levels of ten would be ten thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(BakeFileError, match="larger than 200000 values"):
        parse("\n".join(lines))


def test_several_documents_are_several_nodes() -> None:
    """Empty ones are passed over."""
    assert [node.plain() for node in parse("---\n---\na: 1\n---\nb: 2\n")] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.5"), (1e6, "1e+06"), (123456.5, "123456.5"), (1e-5, "1e-05"), (0.0001, "0.0001"), (-0.0, "-0"),
     (1e20, "1e+20"), (100.0, "100"), (float("inf"), "+Inf"), (1234567.5, "1.2345675e+06"), (0.1, "0.1")],
)  # fmt: skip
def test_floats_are_printed_as_go_prints_them(value: float, text: str) -> None:
    """Short, with an exponent from a million on."""
    assert go_float(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_printed_floats_read_back_the_same(value: float) -> None:
    """Shortest does not mean lossy."""
    assert float(go_float(value)) == value


@given(st.text())
def test_any_text_is_a_document_or_a_diagnostic(text: str) -> None:
    """No other exception escapes."""
    try:
        parse(text)
    except BakeFileError as error:
        assert error.diagnostics
