"""Files made to hurt: each gets an answer, or an error that names the limit it ran into, and the machine lives on."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.bakefile import BakeRequest, resolve
from hpcbake.bakefile.constants import EmptyWorld
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.grammar import load_table
from hpcbake.bakefile.pathmatch import compile_pattern
from hpcbake.bakefile.scope import Scope
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.store import NoStore
from hpcbake.bakefile.syntax import parse_hcl
from hpcbake.bakefile.work import MAX_STEPS
from hpcbake.errors import HpcbakeError
from hpcbake.model.plan import Plan

TARGET = 'target "default" {\n}\n'


def plan_of(folder: Path, text: str, name: str = "docker-bake.hcl") -> Plan:
    (folder / name).write_text(text, encoding="utf-8")
    return resolve(BakeRequest(), folder=folder, environment={"HPCBAKE_CACHE_DIR": str(folder / "cache")})


def doubled(first: str, step: str, times: int) -> str:
    """`a0 = first`, then `a1`, `a2`, … each made of the one before it by `step` (with {a} for that)."""
    lines = [f"a0 = {first}", *(f"a{n} = {step.format(a=f'a{n - 1}')}" for n in range(1, times))]
    return "\n".join(lines) + "\n" + TARGET


TEN = ", ".join(["{a}"] * 10)
REFUSED = {
    "parentheses": ("x = " + "(" * 100_000 + "1" + ")" * 100_000, "deeper than 200 levels"),
    "brackets-open": ("x = " + "[" * 50_000, "deeper than 200 levels"),
    "objects": ("x = " + "{a=" * 50_000, "deeper than 200 levels"),
    "blocks": ("a {\n" * 50_000, "deeper than 200 levels"),
    "templates": ("x = " + '"${' * 50_000, "deeper than 200 levels"),
    "conditionals": ("x = " + "true ? 1 : " * 20_000 + "1\n", "deeper than 200 levels"),
    "minus": ("x = " + "-" * 50_000 + "1\n", "deeper than 200 levels"),
    "calls": ("x = " + "upper(" * 50_000, "deeper than 200 levels"),
    "type": ('variable "v" {\n  type = ' + "list(" * 50_000 + "\n}\n", "deeper than 200 levels"),
    "directives": ('x = "' + "%{if true}" * 300 + "%{endif}" * 300 + '"\n', "deeper than 200 levels"),
    "steps-in-a-row": ("a = []\nx = a" + "[0]" * 2000 + "\n", "more than 500 attributes and indexes"),
    "names-in-a-row": ("a = []\nx = a" + ".b" * 2000 + "\n", "more than 500 attributes and indexes"),
    "large-file": ("#" * 600_000, "bake files may have 500000"),
    "matrix": (
        'target "default" {\n  name = "a-${i}-${j}-${k}"\n'
        "  matrix = { i = range(100), j = range(100), k = range(100) }\n}\n",
        "makes 1000000 targets; the limit is 20000",
    ),
    "matrix-of-many-keys": (
        'target "default" {\n  matrix = {\n' + "".join(f"    k{n} = [1, 2]\n" for n in range(60)) + "  }\n}\n",
        "the limit is 20000",
    ),
    "many-matrices": (
        "".join(f'target "t{n}" {{\n  name = "t{n}-${{i}}"\n  matrix = {{ i = range(1000) }}\n}}\n' for n in range(25)),
        "more than 20000 targets",
    ),
    "recursion": ('function "f" {\n  params = [n]\n  result = f(n - 1)\n}\n' + TARGET, "calls itself"),
    "two-that-recurse": (
        'function "f" {\n  params = []\n  result = g()\n}\nfunction "g" {\n  params = []\n  result = f()\n}\n' + TARGET,
        "calls itself (f → g → f)",
    ),
    "string-that-grows": (doubled('"lol"', '"${{{a}}}${{{a}}}${{{a}}}${{{a}}}"', 40), "more than 10000000 characters"),
    "list-that-grows": (doubled("[1]", f"concat({TEN})", 40), "more than 625000 elements"),
    "tree-that-grows": (doubled("[1]", f"[{TEN}]", 40), "more than 625000 elements"),
    "object-that-grows": (doubled("{}", "{{ a = {a}, b = {a}, c = {a} }}", 40), "more than 625000 elements"),
    "many-large-strings": (
        'a = join("", [for n in range(1000) : "0123456789"])\nb = join("", [for n in range(900) : a])\n'
        + "".join(f'c{n} = "${{b}}{n}"\n' for n in range(20))
        + TARGET,
        "more than 100000000 characters",
    ),
    "join": (
        'a = join("", [for n in range(1000) : "0123456789"])\nb = join(join("", [a, a]), range(1000))\n' + TARGET,
        "more than 10000000 characters",
    ),
    "range": ("x = range(1000000000)\n" + TARGET, "more than 1024 numbers"),
    "range-of-tiny-steps": ("x = range(0, 1, 1e-300)\n" + TARGET, "more than 1024 numbers"),
    "setproduct": ("x = setproduct(" + ", ".join(["[1, 2]"] * 60) + ")\n" + TARGET, "the limit is 200000"),
    "format-width": ('x = format("%1000000000d", 1)\n' + TARGET, "more than 100000"),
    "format-places": ('x = format("%.99999999999999999999f", 1)\n' + TARGET, "more than 100000"),
    "indent": ('x = indent(1000000000, "a\\nb")\n' + TARGET, "more than 10000000 characters"),
    "digits": ("x = 1e999999999999999999999\n" + TARGET, "too many digits"),
    "digits-written": ('x = "v${1e999999}"\n' + TARGET, "more than 100000 digits"),
    "digits-as-argument": ('target "default" {\n  args = { a = 1e999999 }\n}\n', "more than 100000 digits"),
    "bcrypt": ('x = bcrypt("a", 31)\n' + TARGET, "at most 16"),
    "json-text": ('x = jsondecode("' + "[" * 50_000 + '")\n' + TARGET, "deeper than 200 levels"),
    "definitions-in-a-row": (
        "".join(f"v{n} = v{n + 1}\n" for n in range(600)) + "v600 = 1\n" + TARGET,
        "more than 500 definitions",
    ),
    "nul-in-a-name": ('target "a\0b" {\n}\n', 'the name "a\\x00b"'),
    "newline-in-a-name": ('target "a\\nb" {\n}\n', 'the name "a\\nb"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_too_much_is_refused_with_its_limit(case: str, tmp_path: Path) -> None:
    """The limit is in the message."""
    text, says = REFUSED[case]
    with pytest.raises(BakeFileError) as caught:
        plan_of(tmp_path, text)
    assert says in caught.value.message


COMPOSE = {
    "aliases": (
        "x0: &x0 [lol, lol]\n"
        + "".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 12))
        + "services:\n  x:\n    build:\n      context: .\n      tags: *x11\n",
        "larger than 200000 values",
    ),
    "merge-keys": (
        "x0: &x0 {a: 1}\n"
        + "".join(f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 4)}]}}\n" for n in range(1, 20))
        + "services:\n  x:\n    build:\n      context: .\n      args:\n        <<: *x19\n",
        "larger than 200000 values",
    ),
    "itself": ("services: &s\n  x:\n    build: *s\n", "unknown anchor"),
    "lists": ("services: " + "[" * 20_000, "deeper than 200 levels"),
    "a-circle-of-extends": ("services:\n  a:\n    extends: b\n  b:\n    extends: a\n", "in a circle"),
    "variables": (
        'services:\n  x:\n    build:\n      context: "' + "${A:-" * 60 + "}" * 60 + '"\n',
        "deeper than 50 levels",
    ),
}


@pytest.mark.parametrize("case", COMPOSE)
def test_compose_files_have_limits_too(case: str, tmp_path: Path) -> None:
    """Aliases of aliases, and everything else that grows."""
    text, says = COMPOSE[case]
    with pytest.raises(BakeFileError) as caught:
        plan_of(tmp_path, text, "compose.yaml")
    assert says in caught.value.message


def test_a_number_of_a_hundred_thousand_digits_is_text_in_compose(tmp_path: Path) -> None:
    """As every number that is too large for 64 bits."""
    text = f"services:\n  x:\n    build:\n      context: .\n      args:\n        A: {'9' * 100_000}\n"
    assert "x" in plan_of(tmp_path, text, "compose.yaml").targets


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    """50 MB of anything."""
    with (tmp_path / "docker-bake.hcl").open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(BakeFileError, match="larger than 16 MiB"):
        resolve(BakeRequest(), folder=tmp_path, environment={})


@pytest.mark.stand
def test_a_search_has_a_deadline(tmp_path: Path) -> None:
    """Where Go would not backtrack, Python does."""
    with pytest.raises(BakeFileError, match="takes longer than 2 s"):
        plan_of(tmp_path, f'x = regexall("(a|a)*$", "{"a" * 60}b")\n' + TARGET)


def test_steps_are_counted_over_all_loops_and_calls() -> None:
    """Functions that call functions twice, loops in loops: the time they take is their number of steps."""
    source = SourceFile("text", "x = [for i in [1, 2, 3] : [for j in [1, 2, 3] : i * j]]\n")
    loop = parse_hcl(source, load_table(NoStore())).attributes[0].expression
    scope = Scope(EmptyWorld())
    Evaluator(source, scope).value(loop)
    assert 30 < scope.work.steps < 100
    scope.work.steps = MAX_STEPS - 20
    with pytest.raises(BakeFileError, match=f"more than {MAX_STEPS} steps"):
        Evaluator(source, scope).value(loop)


def test_circles_of_inheritance_and_groups_come_to_an_end(tmp_path: Path) -> None:
    """buildx tolerates the first and takes the second for a missing target; so do we, and say it."""
    ring = "".join(f'target "t{n}" {{\n  inherits = ["t{(n + 1) % 500}"]\n}}\n' for n in range(500))
    plan = plan_of(tmp_path, ring + 'group "default" {\n  targets = ["t0"]\n}\n')
    assert any("inherits" in warning.message for warning in plan.warnings)
    groups = 'group "default" {\n  targets = ["b"]\n}\ngroup "b" {\n  targets = ["default"]\n}\n'
    with pytest.raises(HpcbakeError, match="not a target"):
        plan_of(tmp_path, groups)


def test_a_long_list_is_read_in_linear_time(tmp_path: Path) -> None:
    """It was quadratic once: 10,000 items took a second, 100,000 ten minutes."""
    plan = plan_of(
        tmp_path, f"x = [{', '.join(['1'] * 5_000)}]\n" + 'target "default" {\n  args = { n = length(x) }\n}\n'
    )
    assert plan.targets["default"].attributes["args"] == {"n": "5000"}


def test_hundreds_of_mistakes_are_not_all_told(tmp_path: Path) -> None:
    """Twenty in full, the rest as a number."""
    with pytest.raises(BakeFileError) as caught:
        plan_of(tmp_path, "".join(f"x{n} = nope{n}\n" for n in range(300)))
    assert caught.value.message.count("HB-BAKE-020") == 20
    assert "more" in caught.value.message.splitlines()[-1]


def test_a_pattern_of_many_stars_is_matched_at_once() -> None:
    """Each star gives back nothing; what matches is the same."""
    pattern = compile_pattern("*a" * 30 + "b")
    assert pattern is not None
    assert pattern.fullmatch("a" * 200) is None
    assert pattern.fullmatch("a" * 200 + "b")
    for text, name, matches in (
        ("a*b*c", "aXbbXbc", True),
        ("*ab", "aab", True),
        ("a**", "a", True),
        ("*.x", "x", False),
    ):
        found = compile_pattern(text)
        assert found is not None
        assert bool(found.fullmatch(name)) is matches
