"""Dockerfiles become stages of instructions, whatever forms they use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.dockerfile import (
    Dockerfile,
    arguments_of,
    environment_of,
    expand,
    parse_dockerfile,
    split_words,
)
from hpcbake.bakefile.source import SourceFile


def parse(text: str) -> Dockerfile:
    return parse_dockerfile(SourceFile("Dockerfile", text, "dockerfile"))


def test_continued_lines_are_one_instruction() -> None:
    """Comments and blank lines inside are skipped; the span covers all of it."""
    file = parse("FROM a\nRUN one \\\n  # why\n\n  two \\ \n  three\nRUN x\n")
    first, second = file.stages[0].instructions
    assert first.text.split() == ["one", "two", "three"]
    assert (first.span.line, first.span.text.count("\n")) == (2, 4)
    assert second.span.line == 7


def test_heredocs_belong_to_their_instruction() -> None:
    """Several in one instruction, with `-` for tabs and quotes against expansion."""
    file = parse("FROM a\nRUN <<-A cat && <<'B' cat\n\tone\n\tA\ntwo $x\nB\nRUN y\n")
    run, following = file.stages[0].instructions
    assert [(h.name, h.text, h.expands) for h in run.heredocs] == [("A", "one\n", True), ("B", "two $x\n", False)]
    assert following.text == "y"


@pytest.mark.parametrize("text", ['echo "<<EOF"', "echo $((1<<2))", "cat <<<EOF", "echo a<<b", "echo \\<<EOF"])
def test_shifts_and_quotes_are_not_heredocs(text: str) -> None:
    """A `<<` counts only where the shell would see one."""
    file = parse(f"FROM a\nRUN {text}\nRUN next\n")
    assert len(file.stages[0].instructions) == 2


def test_stages_have_names_bases_and_platforms() -> None:
    """Names are found without regard to case, and by number."""
    file = parse("ARG V=1\nFROM --platform=$BUILDPLATFORM img:${V} AS Builder\nFROM builder\nFROM scratch as last\n")
    assert [(s.name, s.base, s.platform) for s in file.stages] == [
        ("builder", "img:${V}", "$BUILDPLATFORM"),
        ("", "builder", None),
        ("last", "scratch", None),
    ]
    assert file.find_stage("BUILDER") is file.stages[0]
    assert file.find_stage("2") is file.stages[2]
    assert file.find_stage("last", before=2) is None


def test_global_arguments_take_what_the_build_passes() -> None:
    """A build argument beats the default; a later default may use an earlier argument."""
    file = parse("ARG A=1 B\nARG C=${A}.x\nFROM img:$C\n")
    assert file.variables({}) == {"A": "1", "C": "1.x"}
    assert file.variables({"A": "2", "B": "b", "Z": "z"}) == {"A": "2", "B": "b", "C": "2.x"}


def test_the_escape_directive_is_honoured() -> None:
    """On Windows a backslash is a path."""
    file = parse("# escape=`\nFROM a\nRUN x `\n  y\nRUN c:\\\n")
    assert [i.text.split() for i in file.stages[0].instructions] == [["x", "y"], ["c:\\"]]


def test_flags_are_taken_off() -> None:
    """Flags of any instruction, quoted or not."""
    copy, run = (
        parse('FROM a\nCOPY --from=b --chmod="0755" /x /y\nRUN --mount=type=bind,from=c true\n').stages[0].instructions
    )
    assert (copy.flag("from"), copy.flag("chmod"), copy.flag("link")) == ("b", "0755", None)
    assert copy.words == ("/x", "/y")
    assert run.flag("mount") == "type=bind,from=c"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        ("a='x y'", ["a=x y"]),
        ('["a b", "c"]', ["a b", "c"]),
        ("a\\ b", ["a b"]),
        ('"a\\"b"', ['a"b']),
        ('""', [""]),
        ("[a b", ["[a", "b"]),
        ("", []),
    ],
)
def test_words_lose_their_quotes(text: str, words: list[str]) -> None:
    """Shell words, or the items of a JSON list."""
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A/${A}", "1/1"),
        ("${B:-d}", "d"),
        ("${E:-d}", "d"),
        ("${E-d}", ""),
        ("${A:+x}${B:+y}", "x"),
        ("${B:-${A}}", "1"),
        ("$", "$"),
        ("${C}", ""),
    ],
)
def test_variables_are_expanded_as_in_a_shell(text: str, value: str) -> None:
    """Defaults and alternatives, nested once."""
    assert expand(text, {"A": "1", "E": ""}) == value


def test_arg_and_env_in_every_form() -> None:
    """`ENV key value`, `ENV k=v k2="v 2"`, `ARG a b=c`."""
    one, two, arg = parse('FROM a\nENV KEY some value\nENV A=1 B="x y"\nARG C D=e\n').stages[0].instructions
    assert list(environment_of(one)) == [("KEY", "some value")]
    assert list(environment_of(two)) == [("A", "1"), ("B", "x y")]
    assert list(arguments_of(arg)) == [("C", None), ("D", "e")]


def test_what_is_wrong_is_kept_with_its_place() -> None:
    """Unknown instructions, text before FROM, an odd FROM, an open heredoc: all noted, none fatal."""
    file = parse("RUN x\nFROM a b\nFORM c\nRUN <<EOF\n")
    assert [(p.span.line, p.message) for p in file.problems] == [
        (3, "unknown instruction FORM"),
        (4, "the heredoc EOF is never closed"),
        (1, "there is no FROM before this instruction"),
        (2, "FROM takes an image, and perhaps AS and a name"),
    ]


_PIECES = [
    "FROM a",
    "RUN ",
    "<<EOF",
    "<<-A",
    "EOF",
    "\n",
    "\\\n",
    "#",
    "COPY --from=b ",
    '"',
    "'",
    "$",
    "[",
    "\r\n",
    " ",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(_PIECES)).map("".join)))
def test_any_text_can_be_read(text: str) -> None:
    """A linter must not fall over what somebody saved by accident."""
    file = parse(text)
    for stage in file.stages:
        for instruction in stage.instructions:
            assert instruction.span.end <= len(text)
