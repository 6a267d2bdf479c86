"""What `hpcbake --version --verbose` says: hpcbake, what it imports, and the programs that it calls."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from hpcbake import __version__
from hpcbake.adapters.git import source_commit
from hpcbake.adapters.processes import run_program
from hpcbake.datafiles import built_from
from hpcbake.errors import PrereqError
from hpcbake.model.ports import RunProgram

NOT_FOUND = "not found"
_TIMEOUT_S = 5.0

#: name → (argv, where its version stands in what it prints). The first argv that answers counts.
_PROGRAMS: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "docker": ((("docker", "version", "--format", "{{.Client.Version}}"), r"^(\S+)"),),
    "docker engine": ((("docker", "version", "--format", "{{.Server.Version}}"), r"^(\d\S*)$"),),
    "buildx": ((("docker", "buildx", "version"), r"\sv?(\d\S*)"),),
    "buildkit": ((("docker", "buildx", "inspect"), r"(?im)^buildkit(?: version)?:\s*v?(\S+)"),),
    "apptainer": (
        (("apptainer", "--version"), r"(\d\S*)$"),
        (("singularity", "--version"), r"(\d\S*)$"),
    ),
    "ssh": ((("ssh", "-V"), r"^(\S+?),?(?:\s|$)"),),
    "git": ((("git", "--version"), r"(\d\S*)"),),
}
_LIBRARIES = ("paramiko", "fabric", "spython", "isal", "zstandard", "cryptography", "python-hcl2", "click", "rich")


def tool_versions(run: RunProgram, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Name and version of each program and library that matters; each program has five seconds to answer."""
    programs = dict(_PROGRAMS)
    if named := environment.get("HPCBAKE_APPTAINER"):
        programs["apptainer"] = (((named, "--version"), r"(\d\S*)$"),)
    with ThreadPoolExecutor(len(programs)) as pool:
        asked = {name: pool.submit(_program_version, run, ways, environment) for name, ways in programs.items()}
        for name, answer in asked.items():
            yield name, answer.result()
    for name in _LIBRARIES:
        yield name, _library_version(name)


def describe_versions(run: RunProgram = run_program, environment: Mapping[str, str] = os.environ) -> str:
    """Everything that a bug report needs to say about versions, a line each."""
    clone = Path(__file__).resolve().parents[2]
    commit = built_from() or (source_commit(clone) if (clone / "pyproject.toml").is_file() else "")
    known = [
        ("hpcbake", __version__),
        ("commit", commit or "not known"),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        *tool_versions(run, environment),
    ]
    width = max(len(name) for name, _ in known)
    return "".join(f"{name:<{width}}  {version}\n" for name, version in known)


def _program_version(
    run: RunProgram, ways: Sequence[tuple[tuple[str, ...], str]], environment: Mapping[str, str]
) -> str:
    for argv, pattern in ways:
        try:
            outcome = run(argv, timeout_s=_TIMEOUT_S, environment=environment)
        except PrereqError:
            continue
        if outcome.exit_code == 124:
            return f"no answer for {_TIMEOUT_S:.0f} s"
        # docker tells its own version and then fails when there is no engine; an error's text holds no version.
        if found := re.search(pattern, outcome.stdout.strip() or (outcome.stderr.strip() if outcome.ok else "")):
            return found[1]
    return NOT_FOUND


def _library_version(name: str, version: Callable[[str], str] = metadata.version) -> str:
    try:
        return version(name)
    except metadata.PackageNotFoundError:
        return NOT_FOUND
