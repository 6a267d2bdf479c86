"""A small project of its own for every test: micro images with a real glibc, a store nobody else uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.integration.conftest import RunningLab

REPOSITORY = Path(__file__).resolve().parents[2]
SITES = ("alder", "birch")

#: A shell, a few tools and their libraries from the stand-in base: 5 MB, pulled in a second.
DOCKERFILE = """\
    ARG BASE
    FROM ${BASE} AS source
    RUN mkdir -p /r/bin /r/etc /r/tmp /r/proc /r/sys /r/dev /r/home /r/usr/bin /r/scratch \\
     && cp --parents -L /etc/os-release /r/ \\
     && for b in sh cat uname getconf head sleep; do p=$(command -v $b); cp -L $p /r/bin/$b; \\
        ldd $p | grep -o '/[^ ]*' | while read l; do cp --parents -L $l /r/; done; done \\
     && printf 'root:x:0:0::/:/bin/sh\\n' > /r/etc/passwd && printf 'root:x:0:\\n' > /r/etc/group
    ARG CONTENT=first
    RUN printf '%s\\n' "$CONTENT" > /r/etc/content
    FROM scratch
    COPY --from=source /r/ /
    CMD ["/bin/sh"]
"""

BAKE_FILE = """\
    variable "BASE" {}
    variable "REGISTRY" {}
    variable "CONTENT" { default = "first" }
    group "default" {
      targets = ["IMAGE"]
    }
    target "IMAGE" {
      platforms = ["linux/amd64"]
      args      = { BASE = BASE, CONTENT = CONTENT }
      tags      = ["${REGISTRY}/NAMESPACE/IMAGE:1.0"]
    }
"""


@dataclass
class Chain:
    """One project folder and one store on each site, and how to run hpcbake there."""

    lab: RunningLab
    folder: Path
    root: str
    namespace: str
    image: str = "micro"
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, check: bool = False, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`hpcbake WORDS` in the project folder."""
        done = subprocess.run(
            [sys.executable, "-m", "hpcbake", *words],
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if check:
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def ship(self, *words: str) -> dict[str, Any]:
        """`hpcbake ship --json WORDS`: the report, whatever the exit code; it must say the same code."""
        done = self.run("ship", "--json", *words)
        report = json.loads(done.stdout)
        assert isinstance(report, dict)
        assert report["exit"]["code"] == done.returncode, done.stderr
        report["stderr"] = done.stderr
        return report

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start hpcbake and leave it running, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "hpcbake", *words],
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def environ(self) -> dict[str, str]:
        state = str(self.folder / "state")
        return {
            **self.lab.env,
            "HPCBAKE_STATE": state,
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            **self.environment,
        }

    # ---- looking from outside: nothing of hpcbake's in between ----

    def readlink(self, site: str, name: str = "current") -> str:
        return self.lab.ssh(site, f"readlink {self.root}/{self.image}/{name}").stdout.strip()

    def listing(self, site: str) -> str:
        """Every file and link of the store with inode, size and modification time to the nanosecond."""
        shown = self.lab.ssh(site, f"cd {self.root} 2>/dev/null && find . -printf '%p %i %s %T@ %l\\n' | sort")
        return shown.stdout

    def files(self, site: str) -> list[str]:
        return self.lab.ssh(site, f"cd {self.root} 2>/dev/null && find . -type f | sort").stdout.split()

    def jobs(self, site: str) -> list[str]:
        """Names of the jobs that Slurm knows of this project's, in whatever state."""
        names = self.lab.ssh(site, "squeue -h -t all -o %j").stdout.split()
        marks = self.lab.ssh(site, f"cat {self.root}/.hpcbake/jobs/*/*/*/attempt-*/name 2>/dev/null").stdout.split()
        return sorted(name for name in names if name in marks)

    def wipe(self) -> None:
        for site in SITES:
            self.lab.ssh(site, f"rm -rf {self.root}")


def make_chain(lab: RunningLab, folder: Path) -> Chain:
    """A project whose names nobody else uses."""
    word = uuid.uuid4().hex[:8]
    chain = Chain(lab, folder, root=f"/scratch/chain-{word}", namespace=f"chain-{word}", image=f"micro-{word}")
    write_project(chain)
    return chain


def write_project(chain: Chain, dockerfile: str = DOCKERFILE, project: str = "") -> None:
    """Write bake file, Dockerfile, site configs and, if given, hpcbake.yaml."""
    bake = textwrap.dedent(BAKE_FILE).replace("IMAGE", chain.image).replace("NAMESPACE", chain.namespace)
    (chain.folder / "docker-bake.hcl").write_text(bake)
    (chain.folder / "Dockerfile").write_text(textwrap.dedent(dockerfile))
    (chain.folder / ".dockerignore").write_text("*\n")
    if project:
        (chain.folder / "hpcbake.yaml").write_text(textwrap.dedent(project))
    for site in SITES:
        write_site(chain, site)


def write_site(chain: Chain, site: str, **changes: dict[str, Any]) -> None:
    """The lab's site config with a store of its own and these sections changed."""
    document = yaml.load((REPOSITORY / "site-configs" / f"{site}.yaml").read_text(), Loader=yaml.BaseLoader)
    document["store"]["root"] = chain.root
    document["login"]["ssh_config"] = str(chain.lab.state / "ssh_config")
    document["runtime"]["plain_http"] = [chain.lab.registry]
    # The way that asks most of a site; the tests of the ways choose theirs.
    document["runtime"]["way"] = "docker"
    for section, values in changes.items():
        document[section] = {**document.get(section, {}), **values}
    configs = chain.folder / "site-configs"
    configs.mkdir(exist_ok=True)
    (configs / f"{site}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float = 120, pause_s: float = 0.05) -> None:
    """Wait for something seen from outside."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(pause_s)


def kill_hard(process: subprocess.Popen[str]) -> None:
    """kill -9 of the whole process group, as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def stages(report: dict[str, Any], site: str) -> dict[str, dict[str, Any]]:
    """The stages of the only image at one site, by name."""
    record = next(item for item in report["sites"] if item["name"] == site)
    return {stage["name"]: stage for stage in record["images"][0]["stages"]}


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {site["name"]: site["outcome"] for site in report["sites"]}


def only_target(report: dict[str, Any]) -> dict[str, Any]:
    targets: Sequence[dict[str, Any]] = report["targets"]
    assert len(targets) == 1
    return targets[0]
