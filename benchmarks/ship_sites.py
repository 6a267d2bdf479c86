"""What a ship costs, beside what nobody can do without, on the lab that is up.

    . lab.env; python benchmarks/ship_sites.py [--sites 16] [--images 4] [--runs 3]

unchanged  the second `hpcbake ship` of some images to N sites, beside one bare `ssh SITE true` to each of them, all at
           once, every one with a connection of its own. ship goes over new connections (`fabric`, the default) and over
           those that the run before has kept (`transport: openssh`, `persist`). The N sites are N stores on one login
           node, with smoke tests that run there without Slurm: what is compared is the chain, not the queue.
changed    a ship of one image whose content has changed to 4 sites, beside the build alone and the slowest site's own
           `apptainer pull` of the new digest, the sites at once.
memory     the largest memory of `hpcbake plan` of 20 images to 50 sites (stores on this machine).

The runs of what is compared alternate. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deliver_sites import Bench, keep_connections, timed

TARGETS = {"unchanged": 2.0, "changed": 1.15, "memory_mb": 200.0}

#: A shell and its libraries, and a file that differs.
DOCKERFILE = """\
ARG BASE
FROM ${BASE}
ARG CONTENT
RUN printf '%s\\n' "$CONTENT" > /etc/content
"""
LOCAL = "name: {name}\nlogin: {{transport: local, host: here}}\nstore: {{root: {root}}}\nprofile: {{arch: x86_64}}\n"


class Project:
    """A folder with a bake file of some images and the sites of a Bench."""

    def __init__(self, bench: Bench, images: int) -> None:
        self.bench = bench
        self.registry = os.environ["REGISTRY"]
        self.names = [f"app{number:02d}" for number in range(images)]
        self.write()
        (bench.folder / "Dockerfile").write_text(DOCKERFILE)
        (bench.folder / ".dockerignore").write_text("*\n")

    def write(self, changed: str = "", content: str = "first") -> None:
        """The bake file; `changed` is the one image that does not have the content of the first ship."""
        texts = [f'group "default" {{\n  targets = {json.dumps(self.names)}\n}}\n']
        for name in self.names:
            word = f"{name} {content if name == changed else 'first'} {os.getpid()}"
            args = f'{{ CONTENT = "{word}", BASE = "{os.environ["BASE_MINIMAL"]}" }}'
            tag = f"{self.registry}/bench-{os.getpid()}/{name}:1.0"
            texts.append(
                f'target "{name}" {{\n  platforms = ["linux/amd64"]\n  args = {args}\n  tags = ["{tag}"]\n}}\n'
            )
        (self.bench.folder / "docker-bake.hcl").write_text("".join(texts))

    def run(self, *words: str) -> float:
        """Seconds of `hpcbake WORDS`, which must succeed."""
        return timed(self.bench, [sys.executable, "-m", "hpcbake", *words], self.bench.environment)[0]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--sites", type=int, default=16)
    options.add_argument("--images", type=int, default=4)
    options.add_argument("--runs", type=int, default=3)
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hpcbake-bench-") as name:
        bench = Bench(Path(name), args.sites, os.environ["BASE_MINIMAL"])
        bench.write_sites()
        for path in (bench.folder / "site-configs").iterdir():
            path.write_text(path.read_text() + "slurm: {scheduler: local, poll_interval: 0.5s}\n")
        keep_connections(bench)
        project = Project(bench, args.images)
        try:
            result = {
                "kind": "hpcbake.benchmark.ship",
                "version": 1,
                "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0]},
                "targets": TARGETS,
                "unchanged": measure_unchanged(project, args.runs),
                "changed": measure_changed(project),
                "memory": measure_memory(project),
            }
        finally:
            bench.ssh(f"rm -rf {bench.root}")
    print(json.dumps(result, indent=2))


# ---- nothing to do ---------------------------------------------------------------------------------------------------


def measure_unchanged(project: Project, runs: int) -> dict[str, Any]:
    """Seconds of each, alternating; the first ship brings everything and is not counted."""
    first = project.run("ship")
    project.run("ship", "--site-configs", "kept")
    seconds: dict[str, list[float]] = {"ship_new": [], "ship_kept": [], "build": [], "ssh_true": []}
    for _ in range(runs):
        seconds["ssh_true"].append(ssh_true(project.bench))
        seconds["ship_new"].append(project.run("ship"))
        seconds["ship_kept"].append(project.run("ship", "--site-configs", "kept"))
        seconds["build"].append(project.run("build"))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "first_ship_s": round(first, 1),
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
        "new": round(medians["ship_new"] / medians["ssh_true"], 2),
        "kept": round(medians["ship_kept"] / medians["ssh_true"], 2),
    }


def ssh_true(bench: Bench) -> float:
    """Seconds until one bare `ssh true` to every site has ended; all at once, nothing shared."""
    alone = ["-o", "ControlMaster=no", "-o", "ControlPath=none"]
    began = time.monotonic()
    calls = [
        subprocess.Popen(["ssh", "-F", bench.folder / "ssh_config", *alone, name, "true"], stdin=subprocess.DEVNULL)
        for name in bench.names
    ]
    if any(call.wait() for call in calls):
        raise SystemExit("ssh true failed")
    return time.monotonic() - began


# ---- one image has changed -------------------------------------------------------------------------------------------


def measure_changed(project: Project) -> dict[str, Any]:
    """The chain of one new image, beside its build and the pulls that every site would do by itself."""
    changed, sites = project.names[0], project.bench.names[:4]
    project.write(changed, "second")
    build = project.run("build", "--target", changed)
    project.write(changed, "third")
    report = project.bench.folder / "changed.json"
    chosen = [word for name in sites for word in ("--site", name)]
    ship = project.run("ship", "--target", changed, *chosen, "--report", str(report))
    digest = json.loads(report.read_text())["targets"][0]["digest"]
    reference = f"{project.registry}/bench-{os.getpid()}/{changed}@{digest}"
    with ThreadPoolExecutor(len(sites)) as pool:
        pulls = list(pool.map(lambda number: own_pull(project.bench, number, reference), range(len(sites))))
    return {
        "build_s": round(build, 2),
        "ship_s": round(ship, 2),
        "own_pulls_s": [round(seconds, 2) for seconds in pulls],
        "ratio": round(ship / (max(pulls) + build), 2),
    }


def own_pull(bench: Bench, number: int, reference: str) -> float:
    """Seconds of a site's own pull, with a cache and a temporary folder of its own."""
    folder = f"{bench.root}/own{number}"
    said = bench.ssh(
        f"mkdir -p {folder}; cd {folder}; export APPTAINER_CACHEDIR={folder}/cache APPTAINER_TMPDIR={folder}; "
        f"date +%s.%N; apptainer pull --no-https x.sif docker://{reference} >/dev/null 2>&1 && date +%s.%N; "
        f"chmod -R u+w {folder}; rm -rf {folder}"
    )
    began, ended = map(float, said.split())
    return ended - began


# ---- memory ----------------------------------------------------------------------------------------------------------


def measure_memory(project: Project) -> dict[str, Any]:
    """The largest memory of a plan of 20 images to 50 sites; the images are built and read before."""
    folder = project.bench.folder
    many = Project(project.bench, 20)
    many.run("build")
    configs = folder / "many"
    configs.mkdir()
    for number in range(50):
        name = f"many{number:02d}"
        (configs / f"{name}.yaml").write_text(LOCAL.format(name=name, root=folder / "stores" / name))
    argv = [sys.executable, "-m", "hpcbake", "plan", "--json", "--site-configs", str(configs)]
    call = subprocess.Popen(argv, cwd=folder, env=project.bench.environment, stdout=subprocess.PIPE)
    assert call.stdout is not None
    document = json.loads(call.stdout.read())
    _, status, usage = os.wait4(call.pid, 0)
    call.returncode = os.waitstatus_to_exitcode(status)
    return {"peak_mb": round(usage.ru_maxrss / 1024, 1), "exit": call.returncode, "sites": len(document["sites"])}


if __name__ == "__main__":
    main()
