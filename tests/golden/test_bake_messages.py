"""What users read when a bake file is wrong: the mistakes that people make, and every word of the answers.

`HPCBAKE_WRITE_MESSAGES=1 pytest tests/golden/test_bake_messages.py` writes the answers anew; read them before they are
committed.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcbake.bakefile import BakeRequest, resolve
from hpcbake.errors import HpcbakeError
from tests.golden.bake_cases import PROJECTS

MESSAGES = Path(__file__).parent / "bake" / "messages.json"
CASES = json.loads(MESSAGES.read_text(encoding="utf-8"))
FILES = [path.read_text(encoding="utf-8") for path in sorted(PROJECTS.glob("*/docker-bake*.*"))]
COMPOSE = [path.read_text(encoding="utf-8") for path in sorted(PROJECTS.glob("*/compose.y*ml"))]


def answer_to(case: dict[str, object]) -> list[str]:
    """What hpcbake says about one mistake, line by line."""
    lines, targets, overrides = case["text"], case["targets"], case["set"]
    assert isinstance(lines, list)
    assert isinstance(targets, list)
    assert isinstance(overrides, list)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / str(case["file"])).write_text("\n".join(lines) + "\n", encoding="utf-8")
        request = BakeRequest(targets=tuple(targets), overrides=tuple(overrides))
        try:
            resolve(request, folder=Path(name), environment={})
        except HpcbakeError as error:
            return [*error.message.splitlines(), *([f"help: {error.remedy}"] if error.remedy else [])]
    return ["no error"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_mistake_gets_the_answer_that_was_agreed_on(case: dict[str, object]) -> None:
    """Place, source line, caret, code, one sentence, and what to do."""
    answer = answer_to(case)
    if os.environ.get("HPCBAKE_WRITE_MESSAGES"):
        case["answer"] = answer
        MESSAGES.write_text(json.dumps(CASES, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert answer == case["answer"]


@st.composite
def damaged(draw: st.DrawFn, texts: list[str]) -> str:
    """A bake file that somebody wrote, after a bad day in an editor."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 30))
        piece = draw(
            st.sampled_from(
                ["", '"', "{", "}", "${", "%{", "[", "]", "(", ")", "=", ",", "\n", "<<EOT\n", "null", "1", "-", "\\",
                 "\t", "target", "inherits = ", " : ", "...", "*", ".", "#", "/*", "é", "\0", "- ", "&a ",
                 "*a", "\u2028"]
            )
        )  # fmt: skip
        text = text[:at] + piece + text[at + length :]
    return text


def survive(name: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text, encoding="utf-8", newline="")
        try:
            resolve(BakeRequest(files=(name,), targets=("*",)), folder=Path(folder), environment={})
        except HpcbakeError as error:
            assert error.message


#: Few in the daily run, which they would slow down; more with HPCBAKE_ORACLE_RUNS.
RUNS = int(os.environ.get("HPCBAKE_ORACLE_RUNS", "25"))
some = settings(max_examples=RUNS, deadline=None, suppress_health_check=list(HealthCheck), derandomize=RUNS <= 40)


@some
@given(damaged(FILES))
def test_a_damaged_bake_file_never_ends_in_a_traceback(text: str) -> None:
    """A plan or an error of ours, whatever was cut or pasted, in either language."""
    survive("docker-bake.hcl", text)
    survive("docker-bake.json", text)


@some
@given(damaged(COMPOSE))
def test_a_damaged_compose_file_never_ends_in_a_traceback(text: str) -> None:
    """The same for YAML."""
    survive("compose.yaml", text)
