"""What people install: wheel and sdist are whole, typed, the same bytes each time, and work outside a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def copy_source(folder: Path) -> Path:
    """The files that git knows of, as they lie here: a clean clone with this tree's changes."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    folder.mkdir(parents=True)
    subprocess.run(
        ["tar", "--null", "--no-recursion", "--ignore-failed-read", "-cf", str(folder / "t.tar"), "-T", "-"],
        cwd=REPOSITORY,
        input=names,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    subprocess.run(["tar", "-xf", "t.tar"], cwd=folder, check=True)
    (folder / "t.tar").unlink()
    return folder


def build(source: Path, out: Path, *, umask: int) -> dict[str, Path]:
    """sdist and wheel of `source`, the wheel from the unpacked sdist as package indexes' users do."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1750000000"}
    argv = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run([*argv, "-t", "sdist"], cwd=source, env=environment, check=True, umask=umask, capture_output=True)
    sdist = next(out.glob("*.tar.gz"))
    unpacked = out / "unpacked"
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    root = next(unpacked.iterdir())
    subprocess.run([*argv, "-t", "wheel"], cwd=root, env=environment, check=True, umask=umask, capture_output=True)
    return {"sdist": sdist, "wheel": next(out.glob("*.whl"))}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_source(tmp_path_factory.mktemp("source") / "a")


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(source, tmp_path_factory.mktemp("out"), umask=0o022)


def test_two_builds_are_the_same_bytes(built: dict[str, Path], source: Path, tmp_path: Path) -> None:
    """Another folder, other times, another umask: with SOURCE_DATE_EPOCH the files are identical."""
    elsewhere = tmp_path / "b"
    shutil.copytree(source, elsewhere, symlinks=True, copy_function=shutil.copy)
    again = build(elsewhere, tmp_path / "out", umask=0o077)
    for kind, path in built.items():
        assert again[kind].read_bytes() == path.read_bytes(), kind


def test_the_wheel_holds_every_data_file(built: dict[str, Path]) -> None:
    """Site configs, scripts, templates, the lab and the types marker: whatever git knows of, is inside."""
    inside = set(zipfile.ZipFile(built["wheel"]).namelist())
    assert "hpcbake/py.typed" in inside
    listed = ["git", "ls-files", "hpcbake", "site-configs", "slurm", "lab"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split()
    present = [name for name in names if (REPOSITORY / name).is_file()]
    wanted = {name if name.startswith("hpcbake/") else f"hpcbake/_data/{name}" for name in present}
    assert wanted - inside == set()
    assert not [name for name in inside if name.endswith(".pyc") or "__pycache__" in name]


def test_the_sdist_can_be_worked_on(built: dict[str, Path]) -> None:
    """Tests, docs, examples and the Makefile travel with the source."""
    with tarfile.open(built["sdist"]) as archive:
        inside = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"Makefile", "quickstart", "LICENSE", "docs/generate.py", "tests/unit/docs/test_licences.py"} <= inside
    assert {"site-configs/alder.yaml", "examples/hpc-app/docker-bake.hcl", "packaging/Containerfile"} <= inside


def test_the_wheel_works_where_there_is_no_clone(built: dict[str, Path], tmp_path: Path) -> None:
    """Installed elsewhere, in a clean home: the verbs find their files, and say the wheel's version."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False, system_site_packages=False)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    # The libraries of this environment serve; hpcbake itself comes out of the wheel.
    zipfile.ZipFile(built["wheel"]).extractall(site)
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (site / "libraries.pth").write_text("\n".join(libraries))
    project = tmp_path / "project"
    project.mkdir()
    (project / "docker-bake.hcl").write_text('target "default" {\n  tags = ["registry.example.org/a/b:1"]\n}\n')

    def run(*words: str) -> str:
        done = subprocess.run(
            [folder / "bin/python", "-m", "hpcbake", *words],
            cwd=project,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    where = subprocess.run(
        [folder / "bin/python", "-c", "import hpcbake; print(hpcbake.__file__)"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(site))
    assert run("--version").startswith("hpcbake, version ")
    assert "registry.example.org/a/b:1" in run("print")
    assert "alder" in (site / "hpcbake/_data/site-configs/alder.yaml").read_text()
    assert "commit" in run("--version", "--verbose")
