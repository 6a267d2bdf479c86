"""The tutorial, typed line by line as printed into a clean shell in an empty folder, on the lab."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import RunningLab

# Four releases are shipped, one after the other: minutes on a quiet machine, and longer on a busy one.
pytestmark = [pytest.mark.lab, pytest.mark.timeout(2400)]

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.append(str(DOCS))
tutorial: Any = importlib.import_module("tutorial")


def test_the_tutorial_is_as_printed(lab: RunningLab, tmp_path: Path) -> None:
    """Every answer is the page's, but for digests, times, sizes and numbers of jobs."""
    lab.ssh("alder", "rm -rf /scratch/alice/hpcbake")
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    results = list(tutorial.run_page(page, tmp_path, lab.state))
    lab.ssh("alder", "rm -rf /scratch/alice/hpcbake")
    assert len(results) > 15
    for step, found in results:
        assert tutorial.same(step.answer, found), f"$ {step.command}--- printed\n{step.answer}--- found\n{found}"
