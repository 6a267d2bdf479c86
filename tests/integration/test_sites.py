"""`hpcbake sites` on the lab's sites: what is drafted is true, what is checked is tried, and nothing is changed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpcbake.elf import BytesWindow, find_elf_facts
from hpcbake.sites import read_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab
SITES = ("alder", "birch")
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Folder:
    """A folder of site configs, and how to run `hpcbake sites` with it."""

    lab: RunningLab
    path: Path
    root: str

    def write(self, name: str, **changes: dict[str, Any]) -> None:
        """The repository's config of this site with some values of its sections changed (None removes one)."""
        config = yaml.load((REPOSITORY / "site-configs" / f"{name}.yaml").read_text(), Loader=yaml.BaseLoader)
        config["store"]["root"] = self.root
        for section, values in changes.items():
            config.setdefault(section, {}).update(values)
            config[section] = {key: value for key, value in config[section].items() if value is not None}
        (self.path / f"{name}.yaml").write_text(yaml.safe_dump(config))

    def run(self, *words: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "hpcbake", "sites", *words, "--site-configs", str(self.path)]
        env = {**self.lab.env, "HPCBAKE_LAB_STATE": str(self.lab.state)}
        return subprocess.run(
            argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )

    def check(self, *names: str) -> tuple[int, dict[str, dict[str, str]]]:
        """Exit code, and by site the gravest level of each topic."""
        done = self.run("check", *names, "--json")
        document = json.loads(done.stdout)
        assert document["exit"] == done.returncode
        order = ("ok", "warn", "FAIL")
        levels: dict[str, dict[str, str]] = {}
        for site in document["sites"]:
            topics = levels.setdefault(site["name"], {})
            for line in site["lines"]:
                topics[line["topic"]] = max(line["level"], topics.get(line["topic"], "ok"), key=order.index)
        return done.returncode, levels


@pytest.fixture
def folder(lab: RunningLab, tmp_path: Path) -> Folder:
    """Both sites, with a store that nobody else uses and that is not there yet."""
    made = Folder(lab, tmp_path, f"{lab.scratch('sites')}/store")
    for name in SITES:
        made.write(name)
    return made


# ---- check ----------------------------------------------------------------------------------------------------------


def test_the_lab_s_sites_are_as_they_say(folder: Folder) -> None:
    """Every topic is fine, by either transport, and nothing was made there."""
    for name in SITES:
        folder.write(name, login={"transport": "openssh" if name == "birch" else "fabric"})
    code, levels = folder.check()
    topics = ("config", "login", "clock", "store", "runtime", "mounts", "slurm", "partition", "profile")
    assert (code, levels) == (0, {name: dict.fromkeys(topics, "ok") for name in SITES})
    for name in SITES:
        assert folder.lab.ssh(name, f"ls -d {Path(folder.root).parent}").returncode != 0


@pytest.mark.parametrize(
    ("site", "changes", "topic", "code"),
    [
        ("alder", {"slurm": {"partition": "nothing"}}, "slurm", 42),
        ("alder", {"slurm": {"account": "nobody"}}, "slurm", 42),
        ("alder", {"slurm": {"time_limit": "10:00:00"}}, "partition", 42),
        ("birch", {"slurm": {"constraint": "gold"}}, "slurm", 42),
        ("birch", {"store": {"root": "/root/store"}}, "store", 42),
        ("birch", {"store": {"group": "root"}}, "group", 42),
        ("birch", {"runtime": {"prelude": None}}, "runtime", 42),
        ("birch", {"runtime": {"prelude": "if true"}}, "prelude", 42),
        ("birch", {"runtime": {"tmpdir": "/proc/1"}}, "tmpdir", 42),
        ("alder", {"login": {"host": "nowhere.invalid"}}, "login", 40),
        ("alder", {"login": {"user": "nobody-there"}}, "login", 41),
        ("alder", {"slurm": {"partition": "debug", "colour": "red"}}, "config", 10),
    ],
)
def test_what_is_wrong_fails_with_its_class(
    folder: Folder, site: str, changes: dict[str, dict[str, Any]], topic: str, code: int
) -> None:
    """Its own topic, with the exit code of its class; the other site is looked at all the same."""
    folder.write(site, **changes)
    found, levels = folder.check()
    other = next(name for name in SITES if name != site)
    assert levels[site][topic] == "FAIL"
    assert "FAIL" not in levels[other].values()
    assert found == 3
    alone = folder.run("check", site)
    assert alone.returncode == code, alone.stdout + alone.stderr


@pytest.mark.parametrize(
    ("site", "changes", "topic"),
    [
        ("alder", {"slurm": {"partition": "closed"}}, "partition"),
        ("birch", {"slurm": {"account": "anything"}}, "slurm"),
        ("birch", {"store": {"root": "/tight/store"}}, "store"),
        ("birch", {"runtime": {"tmpdir": "/dev/shm"}}, "tmpdir"),
        ("birch", {"profile": {"glibc": "2.28"}}, "profile"),
        ("alder", {"runtime": {"prelude": "module load nothing"}}, "prelude"),
    ],
)
def test_what_may_be_meant_warns(folder: Folder, site: str, changes: dict[str, dict[str, Any]], topic: str) -> None:
    """It is told, and the exit code stays 0."""
    folder.write(site, **changes)
    code, levels = folder.check(site)
    assert (code, levels[site][topic]) == (0, "warn")


# ---- probe ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", SITES)
def test_a_draft_passes_the_check_as_it_is(folder: Folder, site: str, tmp_path: Path) -> None:
    """Drafted from the login alone: it reads, every topic is fine, and what it says of the host is so."""
    draft = tmp_path / f"{site}-draft.yaml"
    login = ("--ssh-config", str(folder.lab.state / "ssh_config"))
    registry = folder.lab.registry
    done = folder.run("probe", f"alice@{site}", *login, "--registry", registry, "-o", str(draft))
    assert done.returncode == 0, done.stderr
    code, levels = folder.check(draft.stem)
    assert (code, set(levels[draft.stem].values())) == (0, {"ok"})
    said = read_site(draft, environment={})
    assert said.runtime.plain_http == (registry,)
    seen = folder.lab.ssh(
        site, "getconf GNU_LIBC_VERSION; uname -m; readlink -f /lib/x86_64-linux-gnu/libc.so.6"
    ).stdout
    glibc, arch, libc = seen.split("\n")[:3]
    assert (f"glibc {said.profile.glibc}", said.profile.arch) == (glibc, arch)
    facts = find_elf_facts(BytesWindow(_content(folder.lab, site, libc)))
    assert facts is not None
    assert {name for name in facts.offers if name.startswith("GLIBC_2")} <= set(said.profile.offers)
    assert (said.slurm.partition, said.slurm.account) == {"alder": ("debug", "proj"), "birch": ("main", None)}[site]
    assert ("module load apptainer" in said.runtime.prelude) == (site == "birch")


def _content(lab: RunningLab, site: str, path: str) -> bytes:
    """A file of the site, by base64 over plain ssh."""
    import base64

    return base64.b64decode(lab.ssh(site, f"base64 {path}").stdout)


def test_injected_libraries_are_read_as_they_are(folder: Folder) -> None:
    """What a site puts into containers: the needs in the draft are those of the files themselves, and no others."""
    lab = folder.lab
    munge = lab.ssh("alder", "readlink -f /usr/lib/x86_64-linux-gnu/libmunge.so.2").stdout.strip()
    full = "/usr/lib/x86_64-linux-gnu/slurm-wlm/libslurmfull.so"
    needs: set[str] = set()
    for path in (munge, full):
        facts = find_elf_facts(BytesWindow(_content(lab, "alder", path)))
        assert facts is not None
        needs |= {need.version for need in facts.needs}
    done = folder.run("probe", "alder")
    block = re.search(r"# - name: slurm\n((?:  #   .*\n)+)", done.stdout)
    assert block
    assert set(re.findall(r"GLIBC_[0-9.]+", block[1])) == {need for need in needs if need.startswith("GLIBC_2")}


def test_a_driver_that_is_there_is_injected(folder: Folder) -> None:
    """Libraries by the driver's names, with a driver in the kernel's list: declared, and read by the check."""
    lab, folder_there = folder.lab, "/usr/lib/x86_64-linux-gnu"
    library = f"{folder_there}/libcuda.so.1"
    tool = "/usr/local/bin/nvidia-smi"
    lines = "case $* in *query*) echo 'NVIDIA A100-SXM4-40GB, 550.54.15' ;; *) echo '| CUDA Version: 12.4 |' ;; esac"
    # A real library under the driver's name: ldconfig goes by what a file calls itself.
    make = f"sed 's/libmunge.so.2/libcuda.so.1\\x00/' {folder_there}/libmunge.so.2 >{library}"
    script = f"{make}; ldconfig; printf '#!/bin/sh\\n%s\\n' {shlex.quote(lines)} >{tool}; chmod 755 {tool}"
    try:
        assert lab.exec("alder", ["sh", "-c", script]).returncode == 0
        done = folder.run("probe", "alder", "--name", "withgpu", "-o", str(folder.path / "withgpu.yaml"))
        assert done.returncode == 0, done.stderr
        profile = read_site(folder.path / "withgpu.yaml", environment=lab.env).profile
        assert (profile.gpu.mode, str(profile.gpu.driver), str(profile.gpu.cuda)) == ("nv", "550.54.15", "12.4")
        facts = find_elf_facts(BytesWindow(_content(lab, "alder", f"{folder_there}/libmunge.so.2")))
        assert facts is not None
        (injected,) = profile.inject
        assert (injected.name, set(injected.needs)) == ("nvidia", {need.version for need in facts.needs})
    finally:
        lab.exec("alder", ["sh", "-c", f"rm -f {library} {tool}; ldconfig"])


def test_a_file_is_not_replaced_unasked(folder: Folder) -> None:
    """What was corrected by hand is worth more than a draft."""
    path = folder.path / "alder.yaml"
    before = path.read_text()
    done = folder.run("probe", "alder", "-o", str(path))
    assert (done.returncode, path.read_text()) == (2, before)
    assert folder.run("probe", "alder", "-o", str(path), "--force").returncode == 0
    assert path.read_text() != before


# ---- users ----------------------------------------------------------------------------------------------------------

#: Start-up files as people have them.
HOME = {
    ".bashrc": "echo Willkommen; echo 'error busy' >&2; alias ls='ls --color'; set -o noclobber; umask 077\n"
    "export LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 GREP_OPTIONS=-v POSIXLY_CORRECT=1 IFS=:\n"
    "export SQUEUE_FORMAT=%i CDPATH=/ ENV=/nowhere BASH_ENV=/nowhere; cd /tmp\n",
    ".profile": "echo profile; exec 2>/dev/null\n",
    ".bash_logout": "echo Auf Wiedersehen; clear\n",
}


@pytest.fixture
def odd_user(lab: RunningLab) -> Iterator[str]:
    """A user of alder whose shell prints, sets and exports whatever it can."""
    name = f"odd{uuid.uuid4().hex[:6]}"
    key = "mkdir -m 700 /home/{0}/.ssh; cp /home/alice/.ssh/authorized_keys /home/{0}/.ssh/; "
    files = "".join(f"printf %s {shlex.quote(text)} >/home/{name}/{path}; " for path, text in HOME.items())
    script = f"useradd -m -s /bin/bash {name} && {key.format(name)}{files}chown -R {name}: /home/{name}"
    assert lab.exec("alder", ["sh", "-c", script]).returncode == 0
    yield name
    lab.exec("alder", ["sh", "-c", f"pkill -KILL -u {name}; userdel -r {name}"])


@pytest.mark.parametrize("transport", ["fabric", "openssh"])
def test_a_user_s_start_up_files_do_not_matter(folder: Folder, odd_user: str, transport: str) -> None:
    """Noise, a German locale, exported traps: the same answers as anybody's."""
    folder.write("alder", login={"user": odd_user, "transport": transport}, slurm={"account": None})
    done = folder.run("check", "alder", "--json")
    (site,) = json.loads(done.stdout)["sites"]
    levels = {line["topic"]: line["level"] for line in site["lines"]}
    # Slurm knows no account of this user: that is Slurm's word, read in spite of all the noise.
    slurm = next(line["text"] for line in site["lines"] if line["topic"] == "slurm")
    assert "Invalid account" in slurm
    assert {topic for topic, level in levels.items() if level != "ok"} == {"slurm"}
