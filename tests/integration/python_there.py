"""This Python, hpcbake and what it needs, put into a folder of a machine of the lab: as a wheel in a user's folder."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tests.integration.chain import REPOSITORY
from tests.integration.conftest import RunningLab

_C_LIBRARY = re.compile(r"/(?:ld-linux|libc|libm|libpthread|libdl|librt|libutil)[-.]")


def put_python(lab: RunningLab, node: str, place: str) -> str:
    """A command that runs hpcbake on `node` as the lab's user; empty where this Python does not start there."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, name in _files():
            tar.add(path.resolve(), f"{place.lstrip('/')}/{name}", recursive=False)
    container = lab.container(node)
    unpack = ["docker", "exec", "--interactive", container, "tar", "x", "-C", "/"]
    subprocess.run(unpack, env=lab.env, input=archive.getvalue(), check=True, capture_output=True)
    lab.exec(node, ["chmod", "-R", "a+rX", place])
    start = f"env PYTHONHOME={place} LD_LIBRARY_PATH={place}/lib PYTHONPATH={place}/site {place}/bin/python -m hpcbake"
    return start if lab.ssh(node, f"{start} --help").returncode == 0 else ""


def _files() -> list[tuple[Path, str]]:
    """Interpreter, its library with what that links to, the packages that hpcbake needs, hpcbake and its data."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    standard = Path(sysconfig.get_path("stdlib"))
    interpreter = Path(sys.base_prefix) / "bin" / version
    found = [(interpreter, "bin/python")]
    left_out = {"site-packages", "dist-packages", "test", "__pycache__", "idlelib", "tkinter", "ensurepip"}
    for path in standard.rglob("*"):
        below = path.relative_to(standard)
        if path.is_file() and not left_out.intersection(below.parts) and path.suffix != ".a":
            found.append((path, f"lib/{version}/{below}"))
    programs = [interpreter, *standard.glob("lib-dynload/*.so")]
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    libraries = set(re.findall(r"(/\S+\.so\S*)", "\n".join(line for line in listed.splitlines() if "=>" in line)))
    found += [(Path(name), f"lib/{Path(name).name}") for name in libraries if not _C_LIBRARY.search(name)]
    for name in sorted(_needed("hpcbake")):
        found += _files_of(name)
    for folder in ("hpcbake", "slurm"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.append((path, f"site/{path.relative_to(REPOSITORY)}"))
    return found


def _needed(name: str) -> set[str]:
    """Names of the packages that this one needs, directly or not, without extras."""
    needed: set[str] = set()
    waiting = [name]
    while waiting:
        for requirement in distribution(waiting.pop()).requires or ():
            other = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            if "extra ==" in requirement or other in needed:
                continue
            try:
                distribution(other)
            except PackageNotFoundError:  # for another Python or another system
                continue
            needed.add(other)
            waiting.append(other)
    return needed


def _files_of(name: str) -> list[tuple[Path, str]]:
    found = [(Path(str(file.locate())), str(file)) for file in distribution(name).files or ()]
    return [(path, f"site/{below}") for path, below in found if path.is_file() and not below.startswith("..")]
