"""What the chain sends to a cluster and leaves there does not change unseen, and is shell that shellcheck has read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.golden.chain_texts import (
    FOLDER,
    SITES,
    TESTS,
    chain_texts,
    deliver_script,
    job_script,
    promote_script,
)
from tests.shells import dash_complaints, find_program

TEXTS = chain_texts()

#: A quoted value may hold a dollar (SC2016); the library has more than each script needs (SC2034, SC2317, SC2329) and
#: runs a prelude in those that have one (SC2154 of `prelude`); a prelude names files of the site (SC1090, SC1091);
#: `why=sif-changed` is a word and no arithmetic (SC2100); the catalog has variables of its own (SC2030, SC2031).
_ALLOWED = "SC2016,SC2030,SC2031,SC2034,SC2317,SC2329,SC1090,SC1091,SC2100"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_text_is_the_golden_one(path: Path) -> None:
    """Byte for byte."""
    assert TEXTS[path] == path.read_text(encoding="utf-8"), "look at it, then: python -m tests.golden.regenerate"


def test_no_golden_file_is_left_over() -> None:
    """Each is compared with something."""
    assert {path for path in FOLDER.rglob("*") if path.is_file()} <= set(TEXTS)


def whole_scripts() -> dict[str, str]:
    """Every script as it is sent, with all of its values."""
    scripts = {f"deliver-{site.name}": deliver_script(site) for site in SITES}
    scripts |= {f"promote-{site.name}": promote_script(site) for site in SITES}
    scripts |= {f"job-{site.name}-{test.name}": job_script(site, test) for site in SITES for test in TESTS}
    scripts |= {f"wrapper-{site.name}": TEXTS[FOLDER / site.name / "wrapper.sh"] for site in SITES}
    return scripts


@pytest.mark.stand
def test_what_is_sent_passes_shellcheck(tmp_path: Path) -> None:
    """Also: no script uses a value that it is not given."""
    for name, script in whole_scripts().items():
        (tmp_path / f"{name}.sh").write_text(script)
    argv = [find_program("shellcheck"), "--shell=sh", "--severity=style", f"--exclude={_ALLOWED}", "--format=gcc"]
    done = subprocess.run([*argv, *tmp_path.glob("*.sh")], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if "prelude is referenced" not in line] == []


def test_what_is_sent_parses_in_dash() -> None:
    """The strictest of the shells that /bin/sh may be."""
    complaints = {name: dash_complaints(script) for name, script in whole_scripts().items()}
    assert {name: text for name, text in complaints.items() if text} == {}
