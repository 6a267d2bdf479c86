"""The store on both sites of the lab: who may write, what researchers find, going back, and clearing up."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hpcbake.deliver.catalog import catalog_schema
from tests.integration.chain import SITES, Chain, make_chain, only_target, wait_until, write_project, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab

_PROJECT = "expose:\n  - commands: [sh, getconf]\n"


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    write_project(made, project=_PROJECT)
    yield made
    made.wipe()


@pytest.fixture(scope="module")
def two(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chain, list[str]]]:
    """A project of which both sites have two releases, 1.0 and 2.0, for tests that only look; and their digests."""
    made = make_chain(lab, tmp_path_factory.mktemp("two"))
    write_project(made, project=_PROJECT)
    digests = [release(made, "first", tag="1.0"), release(made, "second", tag="2.0")]
    yield made, digests
    made.wipe()


def release(chain: Chain, content: str, *words: str, tag: str = "1.0") -> str:
    """Ship another content under a tag; its digest."""
    bake = chain.folder / "docker-bake.hcl"
    bake.write_text(re.sub(r"(/[^:/]+):[0-9.]+\"\]", rf'\1:{tag}"]', bake.read_text()))
    chain.environment["CONTENT"] = content
    report = chain.ship(*words)
    assert report["exit"]["code"] == 0, report["errors"]
    return str(only_target(report)["digest"])


def hex_of(digest: str) -> str:
    return digest.removeprefix("sha256:")


def sifs(chain: Chain, site: str) -> set[str]:
    return set(chain.lab.ssh(site, f"cd {chain.root}/sif/{chain.image} && ls *.sif").stdout.replace(".sif", "").split())


def login(chain: Chain, site: str, command: str) -> subprocess.CompletedProcess[str]:
    """A command as a researcher types it: in a login shell, with the store's modules."""
    script = f"module use {chain.root}/modules\n{command}\n"
    return chain.lab.ssh(site, "bash -l", script)


# ---- what researchers find ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", SITES)
def test_modules_with_the_real_programs(two: tuple[Chain, list[str]], site: str) -> None:
    """Lmod and Environment Modules: a tag, no tag (what is current), help, whatis, one at a time, and unload."""
    chain, (first, second) = two
    name, variable = chain.image, re.sub(r"[^A-Z0-9]", "_", chain.image.upper()) + "_SIF"
    shown = login(
        chain,
        site,
        f"""
        module load {name}; echo "default ${variable}"
        module unload {name}; echo "unloaded ${{{variable}:-nothing}} $(command -v getconf)"
        module load {name}/1.0; echo "tag ${variable} $(command -v getconf)"
        module load {name}/2.0; echo "then ${variable}"
        module help {name}/1.0 2>&1 | grep cite
        module whatis {name}/1.0 2>&1 | grep -i '{name} 1.0'
        """,
    )
    lines = shown.stdout.splitlines()
    assert lines[0] == f"default {chain.root}/sif/{name}/{hex_of(second)}.sif", shown
    assert lines[1] == "unloaded nothing /usr/bin/getconf"
    assert lines[2].startswith(f"tag {chain.root}/sif/{name}/{hex_of(first)}.sif")
    assert lines[2].endswith(f"{hex_of(first)}.bin/getconf")
    # Lmod swaps the old one for the new one; Tcl modules refuses. Never are both there.
    kept = second if site == "alder" else first
    assert lines[3] == f"then {chain.root}/sif/{name}/{hex_of(kept)}.sif"
    assert first in shown.stdout
    assert f"{name} 1.0" in lines[-1]


@pytest.mark.parametrize("site", SITES)
def test_wrappers_are_files_that_srun_runs(two: tuple[Chain, list[str]], site: str) -> None:
    """Every word arrives as it was given, on a compute node, and the exit code comes back."""
    chain, _ = two
    words = """'a  b' "it's" '$HOME' '' '*' """
    account = "-A proj" if site == "alder" else ""
    program = 'for w in "$@"; do echo "<$w>"; done; cat /etc/content; exit 7'
    command = f"""module load {chain.image}
        srun -Q {account} -t 2 sh -c '{program}' x {words} </dev/null
        echo "code $?" """
    shown = login(chain, site, command)
    assert shown.stdout.splitlines() == ["<a  b>", "<it's>", "<$HOME>", "<>", "<*>", "second", "code 7"], shown


@pytest.mark.parametrize("site", SITES)
def test_the_catalog_and_the_readme(two: tuple[Chain, list[str]], site: str) -> None:
    """What they say can be typed as it stands, and the catalog is what its schema says."""
    chain, (first, second) = two
    catalog = json.loads(chain.lab.ssh(site, f"cat {chain.root}/catalog.json").stdout)
    jsonschema.validate(catalog, catalog_schema())
    (image,) = catalog["images"]
    assert (image["name"], image["current"], image["held"]) == (chain.image, second, False)
    by_digest = {item["digest"]: item for item in image["releases"]}
    assert set(by_digest) == {first, second}
    for item in by_digest.values():
        sha = chain.lab.ssh(site, f"sha256sum {item['sif']}").stdout.split()[0]
        assert item["sif_sha256"] == sha
        job = item["smoke"][0]
        assert (
            job["node"]
            in chain.lab.ssh(site, f"cat {chain.root}/.hpcbake/jobs/*/{hex_of(item['digest'])}/*/*/*.json").stdout
        )
        assert (item["verdict"], job["status"]) == ("PASS", "passed")
        assert item["digest"] in item["cite"]
    run = by_digest[first]["run"].replace("COMMAND", "cat /etc/content")
    shown = login(
        chain, site, f"module load apptainer 2>/dev/null; {run}; {by_digest[second]['load']}; sh -c 'cat /etc/content'"
    )
    assert shown.stdout.splitlines() == ["first", "second"], shown
    readme = chain.lab.ssh(site, f"cat {chain.root}/README.md").stdout
    assert len(readme.splitlines()) < 30
    for word in (f"module load {chain.image}/2.0", f"{chain.root}/modules", second, hex_of(second)[:12]):
        assert word in readme


def test_two_controllers_and_two_images_share_a_catalog(chain: Chain, lab: RunningLab, tmp_path: Path) -> None:
    """Two real processes promote two images of one store at once: ledger, catalog and README know both."""
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = make_chain(lab, other_folder)
    other.root = chain.root
    write_project(other)
    running = [made.start("ship", "--json", "--site", "alder") for made in (chain, other)]
    for process in running:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, (out[-2000:], err[-2000:])
    catalog = json.loads(lab.ssh("alder", f"cat {chain.root}/catalog.json").stdout)
    assert {image["name"] for image in catalog["images"]} == {chain.image, other.image}
    readme = lab.ssh("alder", f"cat {chain.root}/README.md").stdout
    assert chain.image in readme
    assert other.image in readme
    events = history(chain, "alder")
    assert {event["image"] for event in events} == {chain.image, other.image}


# ---- going back -----------------------------------------------------------------------------------------------------


def history(chain: Chain, site: str) -> list[dict[str, Any]]:
    document = json.loads(chain.run("history", "--json", "--site", site).stdout)
    (told,) = document["sites"]
    assert told["ledger"]["intact"], told
    events: list[dict[str, Any]] = told["events"]
    return events


def test_a_rollback_and_the_next_nightly(chain: Chain) -> None:
    """Back in a moment on every site; ship then tests new builds and promotes none, until somebody says so."""
    first, second = release(chain, "first"), release(chain, "second")
    chain.environment["REGISTRY"] = "nowhere.invalid:1"  # a rollback needs SSH and nothing else
    chain.run("rollback", chain.image, "--dry-run", check=True)
    assert {hex_of(second) in chain.readlink(site) for site in SITES} == {True}
    chain.run("rollback", chain.image, check=True)
    for site in SITES:
        assert hex_of(first) in chain.readlink(site)
        assert hex_of(first) in chain.readlink(site, "1.0")
        assert hex_of(first) in chain.lab.ssh(site, f"cat {chain.root}/modules/{chain.image}/1.0*").stdout
    assert history(chain, "birch")[-1]["act"] == "rolled-back"
    assert history(chain, "birch")[-1]["smoke"][0]["node"] == "birch-c1"
    del chain.environment["REGISTRY"]
    report = chain.ship()
    assert report["exit"]["code"] == 75, report["errors"]
    assert {(error["kind"], error["site"]) for error in report["errors"]} == {("lock.hold", site) for site in SITES}
    chain.environment["CONTENT"] = "third"
    assert chain.ship()["exit"]["code"] == 75
    assert hex_of(first) in chain.readlink("alder")
    assert chain.run("status").returncode == 0
    chain.run("rollback", chain.image, "--release-hold", check=True)
    third = chain.ship()
    assert third["exit"]["code"] == 0, third["errors"]
    assert hex_of(only_target(third)["digest"]) in chain.readlink("alder")


def test_a_damaged_release_is_no_way_back(chain: Chain) -> None:
    """One flipped byte in the old SIF: 43, it is set aside, and users keep what they have."""
    first, second = release(chain, "first", "--site", "alder"), release(chain, "second", "--site", "alder")
    sif = f"{chain.root}/sif/{chain.image}/{hex_of(first)}.sif"
    flip = f"t=$(stat -c %Y {sif}); printf X | dd of={sif} bs=1 seek=50000 conv=notrunc 2>/dev/null; touch -d @$t {sif}"
    chain.lab.ssh("alder", flip)
    assert chain.run("rollback", chain.image, "--site", "alder").returncode == 43
    assert hex_of(second) in chain.readlink("alder")
    assert ".bad-" in chain.lab.ssh("alder", f"ls {chain.root}/sif/{chain.image}").stdout


def test_status_sets_a_damaged_sif_aside_unless_users_have_it(chain: Chain) -> None:
    """`status --verify`: 43 both times; the current one stays until the next ship replaces it."""
    first, second = release(chain, "first", "--site", "alder"), release(chain, "second", "--site", "alder")
    folder = f"{chain.root}/sif/{chain.image}"
    for digest in (first, second):
        sif = f"{folder}/{hex_of(digest)}.sif"
        chain.lab.ssh(
            "alder", f"t=$(stat -c %Y {sif}); printf X | dd of={sif} bs=1 seek=50000 conv=notrunc; touch -d @$t {sif}"
        )
    seen = chain.run("status", "--site", "alder", "--verify")
    assert seen.returncode == 43
    assert "set aside as" in seen.stdout
    assert "stays until" in seen.stdout
    assert sifs(chain, "alder") == {hex_of(second)}
    assert chain.ship("--site", "alder")["exit"]["code"] == 0
    assert chain.run("status", "--site", "alder", "--verify").returncode == 0


# ---- clearing up ----------------------------------------------------------------------------------------------------


def test_gc_and_a_job_that_runs(chain: Chain) -> None:
    """A real job that names an old SIF keeps it; a dry run touches nothing; what is current and the last N stay."""
    digests = [release(chain, word, "--site", "alder") for word in ("first", "second", "third")]
    first, second, third = map(hex_of, digests)
    sif = f"{chain.root}/sif/{chain.image}/{first}.sif"
    script = f"#!/bin/sh\n#SBATCH -t 5 -o /dev/null\n# {sif}\nsleep 240\n"
    job = chain.lab.ssh(
        "alder", f"cat >{chain.root}/job.sh; cd /tmp; sbatch --parsable -A proj {chain.root}/job.sh", script
    ).stdout.strip()
    assert job.isdigit()
    try:
        before = chain.listing("alder")
        shown = chain.run("gc", "--keep", "1", "--site", "alder", "--dry-run", check=True).stdout
        assert "would go" in shown
        assert "a job or process names it" in shown
        assert chain.listing("alder") == before
        chain.run("gc", "--keep", "1", "--site", "alder", check=True)
        assert sifs(chain, "alder") == {first, third}
    finally:
        chain.lab.ssh("alder", f"scancel {job}")
    wait_until(
        lambda: not chain.lab.ssh("alder", f"squeue -h -j {job} -t PD,R,CG 2>/dev/null").stdout.strip(), "its end"
    )
    document = json.loads(chain.run("gc", "--keep", "1", "--site", "alder", "--json", check=True).stdout)
    (removed,) = document["sites"][0]["removed"]
    assert (removed["digest"], sifs(chain, "alder")) == (digests[0], {third})
    assert removed["reason"]
    assert chain.run("status", "--site", "alder").returncode == 0
    catalog = json.loads(chain.lab.ssh("alder", f"cat {chain.root}/catalog.json").stdout)
    assert [item["digest"] for item in catalog["images"][0]["releases"]] == [digests[2]]
    assert second not in chain.lab.ssh("alder", f"find {chain.root} -path '*/.hpcbake/*' -prune -o -print").stdout


def test_gc_keeps_what_is_pinned(chain: Chain) -> None:
    """A pin outlives every clean-up until it is taken away."""
    first, second = release(chain, "first", "--site", "alder"), release(chain, "second", "--site", "alder")
    chain.run("gc", "--pin", f"{chain.image}@{first}", "--site", "alder", check=True)
    chain.run("gc", "--keep", "1", "--site", "alder", check=True)
    assert sifs(chain, "alder") == {hex_of(first), hex_of(second)}
    chain.run("gc", "--unpin", f"{chain.image}@{first}", "--site", "alder", check=True)
    chain.run("gc", "--keep", "1", "--site", "alder", check=True)
    assert sifs(chain, "alder") == {hex_of(second)}


# ---- who may write --------------------------------------------------------------------------------------------------


@pytest.fixture
def second_user(lab: RunningLab) -> Iterator[tuple[str, str]]:
    """On alder: a group that alice is a member of, and a second member. Their names."""
    user, group = "hpcbake-bob", "hpcbake-team"
    make = f"""
        groupadd -f {group} && usermod -aG {group} alice
        id {user} >/dev/null 2>&1 || useradd -m -s /bin/sh -G {group} {user}
        mkdir -p ~{user}/.ssh && cp ~alice/.ssh/authorized_keys ~{user}/.ssh/ && chown -R {user}: ~{user}/.ssh
        passwd -d {user} >/dev/null 2>&1
        printf 'umask 077\\n' >>~{user}/.profile
        sacctmgr -i add user {user} account=proj >/dev/null 2>&1
        true
    """
    done = lab.exec("alder", ["sh", "-c", make])
    assert done.returncode == 0, done.stderr
    yield user, group
    lab.exec(
        "alder",
        ["sh", "-c", f"sacctmgr -i delete user {user}; userdel -r {user}; gpasswd -d alice {group}; groupdel {group}"],
    )


def test_two_members_of_a_group_deliver_into_one_store(chain: Chain, second_user: tuple[str, str]) -> None:
    """Group, setgid and modes are the site's, whatever either user's umask is; each goes on where the other was."""
    user, group = second_user
    write_site(chain, "alder", store={"group": group, "mode": "0664"})
    first = release(chain, "first", "--site", "alder")
    write_site(chain, "alder", store={"group": group, "mode": "0664"}, login={"user": user})
    second = release(chain, "second", "--site", "alder")
    chain.run("rollback", chain.image, "--site", "alder", check=True)
    assert hex_of(first) in chain.readlink("alder")
    shown = chain.lab.ssh("alder", f"find {chain.root} -printf '%y %m %g %u %P\\n'").stdout.splitlines()
    entries = [line.split(" ", 4) for line in shown]
    assert {group_name for _, _, group_name, _, _ in entries} == {group}
    assert {mode for kind, mode, _, _, _ in entries if kind == "d"} == {"2775"}
    assert {mode for kind, mode, _, _, path in entries if path.endswith(".sif") and kind == "f"} == {"664"}
    owners = {path.split("/")[-1]: owner for _, _, _, owner, path in entries if path.endswith(".sif")}
    assert owners == {f"{hex_of(first)}.sif": "alice", f"{hex_of(second)}.sif": user}
    assert [event["act"] for event in history(chain, "alder")] == ["promoted", "promoted", "rolled-back"]
    chain.lab.exec("alder", ["rm", "-rf", chain.root])


# ---- on disk before it is told --------------------------------------------------------------------------------------


def listeners(host: str) -> list[str]:
    """The sshd of a lab machine, by its number on this machine: the lab has process namespaces of its own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_text(errors="replace")
            if "sshd" in words and "[listener]" in words and (folder / "root/etc/hostname").read_text().strip() == host:
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_files_and_folders_are_on_disk_before_they_have_their_names(chain: Chain) -> None:
    """Every rename of a promotion follows an fsync of that very file, and its folder's fsync follows it."""
    release(chain, "first", "--site", "alder")
    chain.environment["CONTENT"] = "second"
    trace = chain.folder / "trace"
    sshd = listeners("alder")
    assert len(sshd) == 1, sshd
    argv = [
        "strace",
        "-f",
        "-q",
        "-y",
        "-s",
        "300",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2",
        "-o",
        str(trace),
        "-p",
        sshd[0],
    ]
    tracer = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        if tracer.poll() is not None:
            pytest.skip("strace may not look into the lab here")
        assert chain.ship("--site", "alder")["exit"]["code"] == 0
    finally:
        tracer.terminate()
        tracer.wait()
    calls = [line for line in trace.read_text(errors="replace").splitlines() if chain.root in line and "= 0" in line]
    synced: set[str] = set()
    seen_renames = 0
    for index, call in enumerate(calls):
        sync = re.search(r"(?:fsync|fdatasync)\(\d+<([^>]+)>", call)
        if sync:
            synced.add(sync[1])
            continue
        names = re.findall(r'"([^"]+)"', call)
        # What lies in a job's or a pull's own folder has no name yet that anybody trusts.
        if len(names) != 2 or re.search(r"/\.hpcbake/(incoming|jobs|leases)/", names[1]):
            continue
        old, new = names
        seen_renames += 1
        folder = new.rsplit("/", 1)[0]
        later = "\n".join(calls[index + 1 :])
        assert old.endswith("/link") or old in synced, call
        assert re.search(rf"fsync\(\d+<{re.escape(folder)}>", later), f"no fsync of {folder} after {call}"
    assert seen_renames >= 6
    assert any(name.endswith("/ledger.jsonl") for name in synced)
