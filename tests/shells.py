"""What shells and shellcheck say of a script's text."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


def find_program(name: str) -> str:
    """The path of a development tool, beside this Python or on PATH; without it the test cannot say anything."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: it belongs to the development tools")
    return found


def shellcheck_complaints(script: str, *, allow: Sequence[str] = ()) -> str:
    """What shellcheck says of a POSIX sh script, empty when it has nothing to say."""
    argv = [find_program("shellcheck"), "--shell=sh", "--format=gcc", f"--exclude={','.join(allow) or 'SC1091'}", "-"]
    return subprocess.run(argv, input=script, capture_output=True, text=True, check=False).stdout


def dash_complaints(script: str) -> str:
    """What dash says when it only reads the script; `/bin/sh` where there is no dash."""
    argv = [shutil.which("dash") or "/bin/sh", "-n"]
    return subprocess.run(argv, input=script, capture_output=True, text=True, check=False).stderr
