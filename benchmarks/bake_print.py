"""How fast `hpcbake print` is beside `docker buildx bake --print`, and `hpcbake --help` beside a bare click program.

    python benchmarks/bake_print.py [--buildx 'docker buildx'] [--runs 15] [--folder DIR]

Both programs get the same files and run in turn, so that a machine whose speed drifts drifts for both. For every case
the medians of wall time and of CPU time (user and system), and the medians of the ratios pair by pair: hpcbake to
buildx, so below 1 is quicker; for the matrix also how many times as fast. The plans are compared before anything is
timed. Without buildx only hpcbake is timed. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
HPCBAKE = [str(Path(sys.executable).with_name("hpcbake"))]
PLUGIN_FOLDERS = ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "/usr/local/lib/docker/cli-plugins")
#: What is promised: hpcbake's time to buildx's, or to the bare program's.
TARGETS = {"warm": 1.0, "tree-cold": 3.0, "cold": 3.0, "matrix": 0.2, "help": 1.5, "version": None}

HEAD = """\
variable "REGISTRY" {
  default = "registry.example.org/hpc"
}
variable "TAG" {
  default = "2026.11"
  validation {
    condition     = TAG != ""
    error_message = "TAG must not be empty."
  }
}
variable "CUDA" {
  type    = list(string)
  default = ["12.4.1", "12.6.2"]
}
function "image" {
  params = [name, tag]
  result = "${REGISTRY}/${name}:${tag}"
}
function "labels" {
  params = [title]
  result = {
    "org.opencontainers.image.title"   = title
    "org.opencontainers.image.version" = TAG
  }
}
target "_common" {
  platforms = ["linux/amd64"]
  args = {
    BUILDER = "gcc-${substr(TAG, 0, 4)}"
    CFLAGS  = join(" ", ["-O2", "-march=x86-64-v3"])
  }
}
target "app" {
  name     = "app-${replace(cuda, ".", "-")}-${mpi}"
  inherits = ["_common"]
  matrix = {
    cuda = CUDA
    mpi  = ["openmpi", "mpich"]
  }
  args = {
    CUDA = cuda
    MPI  = mpi == "openmpi" ? "openmpi-4.1" : "mpich-4.2"
  }
  labels = labels("app")
  tags   = [image("app", "${TAG}-cuda${cuda}-${mpi}"), image("app", "latest-${mpi}")]
}
"""
TOOL = """\
target "tool-{n}" {{
  inherits   = ["_common"]
  context    = "tools/tool-{n}"
  target     = TAG == "dev" ? "debug" : "runtime"
  tags       = [for t in [TAG, "latest"] : image("tool-{n}", t)]
  cache-from = ["type=registry,ref=${{REGISTRY}}/cache:tool-{n}"]
  labels     = merge(labels("tool-{n}"), {{ "stage" = "%{{ if TAG == "dev" }}dev%{{ else }}prod%{{ endif }}" }})
}}
"""
MATRIX = """\
variable "TAG" {
  default = "2026.11"
}
target "default" {
  name   = "app-${i}-${j}"
  matrix = { i = range(50), j = range(40) }
  args   = { I = i, J = j, SUM = i + j }
  labels = { "org.opencontainers.image.version" = TAG }
  tags   = ["registry.example.org/app:${TAG}-${i}-${j}"]
}
"""


def five_kilobytes() -> str:
    """A bake file of 5 kB as a project with a dozen images has it."""
    tools: list[str] = []
    while len(HEAD) + sum(map(len, tools)) < 4900:
        tools.append(TOOL.format(n=len(tools) + 1))
    names = ", ".join(f'"tool-{n + 1}"' for n in range(len(tools)))
    return HEAD + "".join(tools) + f'group "default" {{\n  targets = ["app", {names}]\n}}\n'


class Cost(NamedTuple):
    """What one run of a program took, its start included."""

    wall: float
    cpu: float


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[Cost, str]:
    """Run a program to its end: its cost and its standard output. Raises CalledProcessError."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def compare(ours: Callable[[], Cost], theirs: Callable[[], Cost] | None, runs: int) -> dict[str, Any]:
    """Medians of both, run in turn after one run that does not count, and the medians of their ratios."""
    pairs = [(ours(), theirs() if theirs else None) for _ in range(runs + 1)][1:]
    result: dict[str, Any] = {"runs": runs}
    for measure in ("wall", "cpu"):
        own = [getattr(pair[0], measure) for pair in pairs]
        result[f"hpcbake_{measure}_s"] = round(statistics.median(own), 3)
        if theirs:
            other = [getattr(pair[1], measure) for pair in pairs]
            result[f"other_{measure}_s"] = round(statistics.median(other), 3)
            result[f"{measure}_ratio"] = round(statistics.median(a / b for a, b in zip(own, other, strict=True)), 2)
    return result


def find_buildx(named: str | None) -> list[str] | None:
    """The words that call buildx: as named, or the plugin itself (which spares it docker's own start)."""
    if named:
        return shlex.split(named)
    plugins = [Path(folder, "docker-buildx") for folder in PLUGIN_FOLDERS]
    found = next((str(path) for path in plugins if path.is_file()), None) or shutil.which("docker-buildx")
    return [found] if found else None


def plain(document: str) -> Any:
    """A plan without what is random in buildx: the order of the names of a matrix."""
    plan = json.loads(document)
    for group in plan.get("group", {}).values():
        group["targets"].sort()
    return plan


def measure_print(
    name: str, text: str, buildx: list[str] | None, place: Path, runs: int, forget: str
) -> dict[str, Any]:
    """One bake file, both programs. `forget` is the part of the cache that is removed before each run ("" for none)."""
    folder, cache = place / name, place / name / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "docker-bake.hcl").write_text(text)
    environment = {**os.environ, "HPCBAKE_CACHE_DIR": str(cache)}

    def ours() -> Cost:
        if forget:
            shutil.rmtree(cache / forget, ignore_errors=True)
        return run([*HPCBAKE, "print"], folder, environment)[0]

    def theirs() -> Cost:
        return run([*(buildx or ()), "bake", "--print"], folder, environment)[0]

    if buildx:
        own, other = (
            run([*HPCBAKE, "print"], folder, environment)[1],
            run([*buildx, "bake", "--print"], folder, environment)[1],
        )
        if plain(own) != plain(other):
            sys.exit(f"{name}: the two programs do not agree, so their times cannot be compared")
    return {"bytes": len(text), **compare(ours, theirs if buildx else None, runs)}


def measure_start(words: Sequence[str], place: Path, runs: int) -> dict[str, Any]:
    """hpcbake with `words` beside a click program with as many options and nothing in it."""
    bare = place / "bare.py"
    bare.write_text(
        "import click\n\n\n@click.command()\n@click.version_option('1')\ndef main():\n    '''Nothing.'''\n\n\nmain()\n"
    )
    return compare(
        lambda: run([*HPCBAKE, *words], place, os.environ)[0],
        lambda: run([sys.executable, str(bare), *words], place, os.environ)[0],
        runs,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--buildx", help="the words that call buildx, for example 'docker buildx'")
    options.add_argument("--runs", type=int, default=15)
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "hpcbake-bench-print")
    args = options.parse_args()
    # An installation from a wheel has its bytecode; one from a source tree gets it here, so that both are alike.
    compileall.compile_dir(ROOT / "hpcbake", quiet=1)
    buildx, place = find_buildx(args.buildx), args.folder
    place.mkdir(parents=True, exist_ok=True)
    small = five_kilobytes()
    results = {
        "warm": measure_print("warm", small, buildx, place, args.runs, ""),
        "tree-cold": measure_print("tree-cold", small, buildx, place, args.runs, "bakefile/trees"),
        "cold": measure_print("cold", small, buildx, place, args.runs, "."),
        "matrix": measure_print("matrix", MATRIX, buildx, place, max(args.runs // 3, 3), ""),
        "help": measure_start(["--help"], place, args.runs),
        "version": measure_start(["--version"], place, args.runs),
    }
    version = run([*buildx, "version"], place, os.environ)[1].strip() if buildx else None
    document = {
        "kind": "hpcbake.benchmark.print",
        "version": 1,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "buildx": version,
        "targets": TARGETS,
        "results": results,
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
