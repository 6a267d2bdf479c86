"""The bake language against what buildx 0.29.1 made of the same texts: recorded answers, and random ones asked live."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hpcbake.bakefile.definition import Definitions
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.functions import NAMES
from hpcbake.bakefile.model import build_model
from hpcbake.bakefile.program import evaluate_files
from hpcbake.bakefile.request import BakeRequest
from hpcbake.bakefile.resolve import ReadFiles, plan_of
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.store import NoStore
from hpcbake.errors import HpcbakeError
from tests.golden.buildx import buildx_plan, find_buildx, write_files
from tests.golden.expression_maker import DEFINITIONS, ExpressionMaker

FOLDER = Path(__file__).parent / "bake" / "language"
#: Newer than buildx 0.29.1.
LATER_FUNCTIONS = {"semvercmp", "formattimestamp", "unixtimestampparse"}

needs_buildx = pytest.mark.skipif(find_buildx() is None, reason="needs docker buildx, or HPCBAKE_BUILDX naming it")


def load(name: str) -> Any:
    """One of the files of recorded answers."""
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def evaluate(text: str, kind: str = "hcl", environment: dict[str, str] | None = None) -> Definitions:
    """The definitions of one file."""
    return evaluate_files(
        [SourceFile(f"b.{kind}", text, kind)],
        environment=environment or {},
        variables={},
        command_context="cwd://",
        local_platform="linux/amd64",
        store=NoStore(),
    )


def answer(expression: str, preamble: str) -> list[object] | None:
    """[jsonencode(expression)] as an argument of a target gets it, or None for an error."""
    text = f'{preamble}val = {expression}\ntarget "default" {{\n args = {{ r = jsonencode(val) }}\n}}\n'
    try:
        definitions = evaluate(text)
    except BakeFileError:
        return None
    args = definitions.targets[0].attributes.get("args")
    return [args.get("r") if isinstance(args, dict) else None]


def test_expressions_have_the_recorded_values() -> None:
    """A thousand expressions: operators, templates, loops, conversions, every function."""
    recorded = load("expressions.json")
    preamble = recorded["preamble"]
    wrong = {
        expression: (mine, wanted)
        for expression, wanted in recorded["cases"]
        if (mine := answer(expression, preamble)) != wanted
    }
    assert len(recorded["cases"]) > 1000
    assert wrong == {}


def test_syntax_is_taken_or_refused_as_recorded() -> None:
    """Comments, newlines, heredocs, one-line blocks, escapes: what is a bake file and what is not."""
    for name, text, accepted in load("syntax.json")["cases"]:
        try:
            evaluate(text)
            taken = True
        except BakeFileError:
            taken = False
        assert taken == accepted, name


def plan(text: str, kind: str, environment: dict[str, str], targets: list[str]) -> Any:
    """The plan of one file, as the recorded answers have it."""
    try:
        definitions = evaluate(text, kind, environment)
        model = build_model(definitions.targets, definitions.groups)
        read = ReadFiles(model, definitions.variables, definitions.warnings, ())
        request = BakeRequest(targets=tuple(targets))
        resolved: Any = plan_of(read, request, folder=Path("/nonexistent"), environment=environment).as_json()
    except HpcbakeError:
        return None
    for group in (resolved.get("group") or {}).values():
        group["targets"] = sorted(group["targets"])
    return {key: value for key, value in resolved.items() if value}


def shortened(resolved: Any) -> Any:
    """The plan of a lone target with one argument is written as that argument."""
    arguments = ((resolved or {}).get("target") or {}).get("default", {}).get("args") or {}
    lone = {"context": ".", "dockerfile": "Dockerfile", "args": {"r": arguments.get("r")}}
    is_lone = resolved == {"group": {"default": {"targets": ["default"]}}, "target": {"default": lone}}
    return arguments["r"] if is_lone else resolved


def test_whole_files_make_the_recorded_plans() -> None:
    """Three thousand small files: variables and their overrides, functions, matrices, references, JSON."""
    cases = load("programs.json")["cases"]
    wrong = []
    for text, kind, environment, targets, wanted in cases:
        mine = shortened(plan(text, kind, environment, targets))
        if mine != wanted:
            wrong.append((text, environment, wanted, mine))
    assert len(cases) > 3000
    assert wrong == []


def test_every_function_of_buildx_is_there() -> None:
    """All functions by their names, and those of later versions; nothing else."""
    names = (FOLDER / "functions.txt").read_text().split()
    assert len(names) == 103
    assert set(names) | LATER_FUNCTIONS == NAMES


def random_program(expressions: list[str]) -> str:
    """A file that evaluates each expression by itself, whether the others fail or not."""
    values = [f'r{n} = try(jsonencode({expression}), "failed")\n' for n, expression in enumerate(expressions)]
    args = "".join(f"  a{n} = r{n}\n" for n in range(len(expressions)))
    return f'{DEFINITIONS}{"".join(values)}target "default" {{\n args = {{\n{args} }}\n}}\n'


@pytest.mark.needs_buildx
@needs_buildx
@pytest.mark.parametrize("seed", range(12))
def test_random_expressions_are_what_buildx_makes_of_them(seed: int, tmp_path: Path) -> None:
    """Sixty expressions per seed; those that make buildx fall over as a whole are asked no further."""
    maker = ExpressionMaker(Random(seed))
    expressions = [maker.any(2 + seed % 2) for _ in range(60)]
    asked: dict[str, str] = {}
    for batch in (expressions[at : at + 10] for at in range(0, len(expressions), 10)):
        write_files(tmp_path, {"docker-bake.hcl": random_program(batch)})
        theirs: Any = buildx_plan(tmp_path, [], {})
        if isinstance(theirs, dict):
            args = theirs["target"]["default"]["args"]
            asked.update({expression: args[f"a{n}"] for n, expression in enumerate(batch)})
    mine: Any = evaluate(random_program(list(asked))).targets[0].attributes["args"] if asked else {}
    printed = {
        expression: mine[f"a{n}"].replace("${", "$${").replace("%{", "%%{") for n, expression in enumerate(asked)
    }
    assert printed == asked
