"""The first hour on the lab: projects from templates are shipped as they are; the doctor finds what was planted."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab
REPOSITORY = Path(__file__).resolve().parents[2]


def hpcbake(
    lab: RunningLab, folder: Path, *words: str, timeout_s: float = 900, given: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it as a new user would: in this folder, with the lab's environment and a home of its own."""
    env = {**lab.env, "HPCBAKE_LAB_STATE": str(lab.state), "HOME": str(folder.parent), **(given or {})}
    argv = [sys.executable, "-m", "hpcbake", *words]
    return subprocess.run(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
    )


def begin(lab: RunningLab, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    login = ("--ssh-config", str(lab.state / "ssh_config"))
    return hpcbake(lab, folder, "init", "--registry", f"{lab.registry}/first-hour", *words, *login)


def set_values(folder: Path, **sections: dict[str, Any]) -> None:
    """What the user would write into the drafted site config."""
    path = folder / "site-configs/alder.yaml"
    config = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    for section, values in sections.items():
        config.setdefault(section, {}).update(values)
    path.write_text(yaml.safe_dump(config))


@pytest.fixture
def store(lab: RunningLab) -> Iterator[str]:
    root = lab.scratch("first-hour")
    yield f"{root}/store"
    for site in ("alder", "birch"):
        lab.ssh(site, f"rm -rf {root}")


# ---- init -----------------------------------------------------------------------------------------------------------


def ships(lab: RunningLab, folder: Path, **environment: str) -> dict[str, Any]:
    for words in (("validate",), ("lint",), ("print",)):
        done = hpcbake(lab, folder, *words, given=environment)
        assert done.returncode == 0, done.stdout + done.stderr
    done = hpcbake(lab, folder, "ship", "--json", given={"REGISTRY": f"{lab.registry}/first-hour", **environment})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_the_python_template_ships_as_it_is(lab: RunningLab, tmp_path: Path, store: str) -> None:
    """From an empty folder and a login: built, checked, delivered, smoke-tested, promoted; users can call it."""
    folder = tmp_path / "first-py"
    done = begin(lab, folder, "--template", "python", "--site", "alice@alder")
    assert done.returncode == 0, done.stderr
    assert "hpcbake doctor --site alder" in done.stdout
    set_values(folder, store={"root": store})
    ships(lab, folder)
    said = lab.ssh("alder", f"apptainer exec {store}/first-py/current first-py --verify").stdout
    assert said.splitlines()[-1] == "VERIFIED"


def test_the_mpi_template_compiles_and_its_ranks_find_each_other(lab: RunningLab, tmp_path: Path, store: str) -> None:
    """Open MPI from Debian's archive, two ranks started by srun over PMIx."""
    folder = tmp_path / "first-mpi"
    done = begin(lab, folder, "--template", "mpi", "--site", "alice@alder")
    assert done.returncode == 0, done.stderr
    set_values(folder, store={"root": store}, slurm={"mpi": "pmix"})
    ships(lab, folder, BASE=lab.env["NEWER_BASE"])


def test_a_project_that_is_there_ships_with_what_init_adds(lab: RunningLab, tmp_path: Path, store: str) -> None:
    """The bake file and Dockerfile are the user's own, and stay as they are."""
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copytree(REPOSITORY / "examples/hpc-app/src", folder / "src")
    for name in ("Dockerfile", "docker-bake.hcl"):
        shutil.copy(REPOSITORY / "examples/hpc-app" / name, folder)
    before = {name: (folder / name).read_bytes() for name in ("Dockerfile", "docker-bake.hcl")}
    done = begin(lab, folder, "--site", "alice@alder")
    assert done.returncode == 0, done.stderr
    assert {name: (folder / name).read_bytes() for name in before} == before
    set_values(folder, store={"root": store})
    ships(lab, folder)


#: What takes the place of programs that no archive in reach has: each does what its Dockerfile counts on, no more.
STAND_INS = r"""
FROM {base}
RUN printf '#!/bin/sh\ncase $1 in create) mkdir -p "$4/bin" && ln -s /usr/bin/python3 "$4/bin/python" ;; esac\n' \
      >/usr/local/bin/micromamba && \
    printf '#!/bin/sh\ntest -f pixi.toml && mkdir -p .pixi/envs/default/bin\n' >/usr/local/bin/pixi && \
    printf '#!/bin/sh\nfor word; do shift; case $word in -o) out=$1 ;; *.cu) test -s "$word" || exit 1 ;; esac; done\n\
printf "#!/bin/sh\\necho VERIFIED\\n" >"$out" && chmod 755 "$out"\n' >/usr/local/bin/nvcc && \
    chmod 755 /usr/local/bin/*
"""


@pytest.mark.parametrize("template", ["gpu", "conda", "pixi"])
def test_templates_whose_bases_are_out_of_reach_hold_together(lab: RunningLab, tmp_path: Path, template: str) -> None:
    """BuildKit builds them with stand-ins for nvcc, micromamba and pixi: contexts, stages, paths, modes are right."""
    folder, tools = tmp_path / "app", tmp_path / "tools"
    tools.mkdir()
    (tools / "Dockerfile").write_text(STAND_INS.format(base=lab.env["BASE"]))
    image = f"{lab.registry}/first-hour/tools:{template}"
    made = lab.docker("buildx", "build", "--push", "--tag", image, str(tools), timeout_s=300)
    assert made.returncode == 0, made.stderr
    assert begin(lab, folder, "--template", template).returncode == 0
    bases = {"BASE": lab.env["BASE"], "BUILD_BASE": image, "SOLVER": image}
    done = hpcbake(lab, folder, "build", given={"REGISTRY": f"{lab.registry}/first-hour", **bases})
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"sha256:[0-9a-f]{64}", done.stdout)
    assert found, done.stdout
    said = lab.docker("run", "--rm", f"{lab.registry}/first-hour/app@{found[0]}", timeout_s=300)
    assert said.stdout.splitlines()[-1] == "VERIFIED", said.stderr


def test_init_writes_nothing_when_the_site_refuses(lab: RunningLab, tmp_path: Path) -> None:
    """A login that fails is told, with what to do, before there is a single file."""
    folder = tmp_path / "app"
    done = begin(lab, folder, "--template", "python", "--site", "nobody@alder")
    assert done.returncode == 41
    assert "nothing was written" in done.stderr
    assert list(folder.iterdir()) == []


# ---- doctor ---------------------------------------------------------------------------------------------------------


@dataclass
class Project:
    """A project with both sites, whose configs a test may change."""

    lab: RunningLab
    folder: Path
    root: str

    def write(self, name: str, **sections: dict[str, Any]) -> None:
        config = yaml.load((REPOSITORY / "site-configs" / f"{name}.yaml").read_text(), Loader=yaml.BaseLoader)
        config["store"]["root"] = self.root
        for section, values in sections.items():
            config.setdefault(section, {}).update(values)
        (self.folder / "site-configs" / f"{name}.yaml").write_text(yaml.safe_dump(config))

    def doctor(self, *words: str, **environment: str) -> tuple[int, dict[str, dict[str, list[dict[str, str]]]]]:
        """Exit code, and the facts of each place by topic."""
        done = hpcbake(self.lab, self.folder, "doctor", "--json", *words, given=environment)
        assert done.stdout, done.stderr
        document = json.loads(done.stdout)
        assert document["exit"] == done.returncode
        places: dict[str, dict[str, list[dict[str, str]]]] = {}
        for place in document["places"]:
            for fact in place["facts"]:
                places.setdefault(place["name"], {}).setdefault(fact["fact"], []).append(fact)
        return done.returncode, places


@pytest.fixture
def project(lab: RunningLab, tmp_path: Path, store: str) -> Project:
    folder = tmp_path / "project"
    (folder / "site-configs").mkdir(parents=True)
    bake = (
        f'target "default" {{\n  tags = ["{lab.registry}/first-hour/x:1"]\n  dockerfile-inline = "FROM scratch"\n}}\n'
    )
    (folder / "docker-bake.hcl").write_text(bake)
    made = Project(lab, folder, store)
    made.write("alder")
    made.write("birch")
    return made


def levels(facts: dict[str, list[dict[str, str]]]) -> set[str]:
    return {fact["level"] for found in facts.values() for fact in found}


def test_a_healthy_lab_fails_nowhere_and_nothing_on_it_changes(project: Project) -> None:
    """Some forty facts; the store that is not there yet is not made."""
    root = Path(project.root).parent
    code, places = project.doctor()
    assert code == 0, places
    assert set(places) == {"this machine", "alder", "birch"}
    assert all("FAIL" not in levels(facts) for facts in places.values())
    assert sum(len(found) for facts in places.values() for found in facts.values()) >= 45
    assert len(places["birch"]["host-key"]) == 2
    for site in ("alder", "birch"):
        assert project.lab.ssh(site, f"ls -d {root}").returncode != 0


@pytest.fixture
def newcomer(lab: RunningLab) -> Iterator[str]:
    """A user of alder who has never done anything there."""
    user = f"new{os.getpid()}"
    script = (
        f"useradd -m {user} && mkdir ~{user}/.ssh && cp ~alice/.ssh/authorized_keys ~{user}/.ssh/ && "
        f"chown -R {user} ~{user}/.ssh && chmod 700 ~{user}/.ssh"
    )
    assert lab.exec("alder", ["bash", "-c", script]).returncode == 0
    yield user
    lab.exec("alder", ["sh", "-c", f"pkill -u {user}; userdel -r {user}"])


def test_nothing_on_a_site_changes(project: Project, newcomer: str) -> None:
    """No file of the account is there that was not, is gone, or has another time; no job was submitted."""
    project.write("alder", login={"user": newcomer}, store={"root": f"/home/{newcomer}/store"})
    script = "find ~ -printf '%p %s %T@ %m\\n' | sort; squeue -h -t all -u $(id -un)"
    look = ["su", newcomer, "-c", script]
    before = project.lab.exec("alder", look).stdout
    assert "authorized_keys" in before
    project.doctor("--site", "alder")
    assert project.lab.exec("alder", look).stdout == before


@pytest.mark.parametrize(
    ("site", "sections", "topic", "fix"),
    [
        ("birch", {"store": {"root": "/root/store"}}, "store", "store.root"),
        ("alder", {"slurm": {"partition": "nothing"}}, "slurm", "`slurm` section"),
        ("birch", {"runtime": {"prelude": "sleep 600"}}, "prelude", "runtime.prelude"),
        ("alder", {"runtime": {"program": "apptainr"}}, "runtime", "runtime.program"),
    ],
)
def test_a_planted_fault_is_found_with_its_fix(
    project: Project, site: str, sections: dict[str, dict[str, Any]], topic: str, fix: str
) -> None:
    """Under its own topic; exit code 11; the other site is looked at all the same."""
    project.write(site, **sections)
    code, places = project.doctor()
    assert code == 11
    assert [fact["level"] for fact in places[site][topic]] == ["FAIL"]
    assert fix in places[site][topic][0]["fix"]
    other = next(name for name in ("alder", "birch") if name != site)
    assert "FAIL" not in levels(places[other])


def test_an_unknown_host_key_is_named_with_the_command_that_settles_it(project: Project, tmp_path: Path) -> None:
    """At the jump host, too; nothing is sent past it."""
    text = (project.lab.state / "ssh_config").read_text()
    known = str(project.lab.state / "known_hosts")
    (tmp_path / "empty").write_text("")
    (tmp_path / "ssh_config").write_text(text.replace(known, str(tmp_path / "empty")))
    project.write("birch", login={"ssh_config": str(tmp_path / "ssh_config")})
    code, places = project.doctor("--site", "birch")
    assert code == 11
    (fact,) = places["birch"]["host-key"]
    assert (fact["level"], "bastion" in fact["text"]) == ("FAIL", True)
    assert "hpcbake sites trust birch" in fact["fix"]
    assert "login" not in places["birch"]


def test_a_registry_that_is_gone_fails_here_and_warns_there(project: Project) -> None:
    """Nobody listens on that port."""
    bake = project.folder / "docker-bake.hcl"
    bake.write_text(bake.read_text().replace(project.lab.registry, "localhost:5999"))
    code, places = project.doctor("--site", "alder")
    assert code == 11
    assert [fact["level"] for fact in places["this machine"]["registry"]] == ["FAIL"]
    assert [fact["level"] for fact in places["alder"]["registry"]] == ["warn"]


def test_a_docker_that_is_gone_is_told(project: Project) -> None:
    """By its own words, and how to get one."""
    code, places = project.doctor("--here", DOCKER_HOST="unix:///nowhere.sock")
    assert code == 11
    assert places["this machine"]["docker"][0]["level"] == "FAIL"
    assert "DOCKER_HOST" in places["this machine"]["docker"][0]["fix"]
    assert set(places) == {"this machine"}


def test_a_config_that_is_wrong_is_a_fact_like_the_others(project: Project) -> None:
    """The rest is looked at all the same."""
    (project.folder / "hpcbake.yaml").write_text("smok: []\n")
    (project.folder / "site-configs/alder.yaml").write_text("name: alder\n")
    code, places = project.doctor()
    assert code == 11
    assert "hpcbake.yaml:1:1" in places["this machine"]["config"][0]["text"]
    assert places["alder"]["config"][0]["level"] == "FAIL"
    assert "FAIL" not in levels(places["birch"])
