"""The manual pages: one for each verb, and no formatter complains of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hpcbake.cli.main import VERBS

MAN = Path(__file__).resolve().parents[3] / "docs/man"
PAGES = sorted(MAN.glob("*.1"))


def test_every_verb_has_its_page() -> None:
    """And the command its own; none is left over."""
    assert [page.name for page in PAGES] == sorted(["hpcbake.1", *(f"hpcbake-{verb}.1" for verb in VERBS)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_sound_roff(page: Path) -> None:
    """ASCII, every request known, no line that begins by accident with a dot or a quote."""
    text = page.read_bytes().decode("ascii")
    requests = set(re.findall(r"^[.'](\S*)", text, re.MULTILINE))
    assert requests <= {"TH", "SH", "SS", "B", "BR", "I", "TP", "PP", "nf", "fi", '\\"'}
    assert text.count("\n.nf\n") == text.count("\n.fi\n")
    assert re.search(r"^\.SH NAME\nhpcbake\S* \\- \S", text, re.MULTILINE)


def test_groff_has_no_warning() -> None:
    """All of them in one run."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run([groff, "-man", "-ww", "-z", *map(str, PAGES)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
