"""How the tutorial is read and compared: a page that disagrees with the program is found, chance is not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "docs"))
tutorial: Any = importlib.import_module("tutorial")

PAGE = """\
Text.

```console
$ echo one
one
$ printf '%s\\n' \\
> two
two
```

```sh
not run
```

```console
$ true
```
"""


def test_commands_and_answers_are_told_apart() -> None:
    """Every `$ ` line of a console block, lines that go on included; other blocks are not typed."""
    steps = list(tutorial.read_steps(PAGE))
    assert [(step.command, step.answer) for step in steps] == [
        ("echo one\n", "one\n"),
        ("printf '%s\\n' \\\ntwo\n", "two\n"),
        ("true\n", ""),
    ]
    assert [PAGE[step.start : step.end] for step in steps] == ["one\n", "two\n", ""]


def test_a_run_types_the_page_into_one_shell(tmp_path: Path) -> None:
    """What one command sets, the next one sees."""
    page = "```console\n$ cd /\n$ name=x\n$ pwd; echo $name\n```\n"
    assert [found for _, found in tutorial.run_page(page, tmp_path, Path("/lab"))] == ["", "", "/\nx\n"]


def test_answers_are_written_back(tmp_path: Path) -> None:
    """--update changes answers and nothing else, and keeps what was shortened on purpose."""
    page = "```console\n$ echo new\nold\n$ seq 9\n1\n[...]\n9\n```\nend\n"
    results = list(tutorial.run_page(page, tmp_path, Path("/lab")))
    assert tutorial.with_answers(page, results) == "```console\n$ echo new\nnew\n$ seq 9\n1\n[...]\n9\n```\nend\n"


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("done (1.8 s)", "done (12.0 s)"),
        ("  0.4s  build  sha256:" + "a" * 64, "  9.9s  build  sha256:" + "b" * 64),
        ("pi  alder  a7be9b68971e  54.7 MB  118, 119  x", "pi alder 0123456789ab 9 kB 7, 8 x"),
        ("run 01M81F2VDTRJNDDSRVEF5744YQ", "run 01M81EYB76JHSCY71MTWYY0BVW"),
        ("job 118 completed", "job 5 running\njob 5 completed"),
        ("a\n[...]\nz", "a\nb\nc\nz"),
        ("166 on alder, 167 on alder  x", "9 on alder, 10 on alder x"),
        ("table\n\nsite: 1 ok", "table\n\nnote: pi: WARN test took 9 s, 2 s in the last release\n\nsite: 1 ok"),
    ],
)
def test_what_varies_is_the_same(printed: str, found: str) -> None:
    """Digests, times, sizes, jobs, runs, and moments of progress."""
    assert tutorial.same(printed, found)


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("exit 0 OK", "exit 50 SMOKE_FAILED"),
        ("pi  alder  promoted", "pi  alder  failed"),
        ("a\n[...]\nz", "a\nb"),
        ("one", "one\nerror: something"),
        ("area is off by 3.1e-08", "area is off by 4.1e-08"),
    ],
)
def test_what_matters_is_not_the_same(printed: str, found: str) -> None:
    """Outcomes, exit codes, figures, and lines too many or too few."""
    assert not tutorial.same(printed, found)
