"""What runs on clusters is plain POSIX sh, and values are nothing but data to it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hpcbake.datafiles import data_folder
from hpcbake.errors import BugError
from hpcbake.sites.scripts import render_site_script
from tests.shells import dash_complaints

NAMES = sorted(path.stem for path in (data_folder("slurm") / "site").glob("*.sh") if path.stem != "lib")
HOSTILE = "a 'b' \"c\"; $(touch owned) `touch owned` \\ \n-rf\n*"


@pytest.mark.parametrize("name", NAMES)
def test_a_script_parses_whatever_its_values_are(name: str) -> None:
    """Quotes and newlines in a value never change what the shell reads."""
    script = render_site_script(name, root=HOSTILE, run=HOSTILE, image=HOSTILE, prelude=HOSTILE, wanted=HOSTILE)
    assert dash_complaints(script) == ""


def test_values_are_data_to_the_shell(tmp_path: Path) -> None:
    """Quotes, substitutions and newlines in a value reach the script as they are and run nothing."""
    script = render_site_script("survey", root="/nonexistent", run="r", lock_wait=0, wanted="", extra=HOSTILE)
    shown = f'{script}\nprintf "%s" "$extra" >extra'
    subprocess.run(["/bin/sh"], input=shown.encode(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "extra").read_text() == HOSTILE
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["PATH", "a b", "a;b", "", "1st"])
def test_only_plain_names_are_assigned(name: str) -> None:
    """A value's name is ours to choose; one that is no lower-case variable is a bug and is not sent."""
    with pytest.raises(BugError):
        render_site_script("survey", **{name: "x"})


def test_a_nul_byte_is_not_sent() -> None:
    """No shell can hold a NUL in a variable: it would be dropped in silence."""
    with pytest.raises(BugError):
        render_site_script("survey", root="/a\0b")
