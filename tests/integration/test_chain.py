"""The whole chain on both sites of the lab, looked at from outside: readlink, sha256sum, curl, squeue."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hpcbake.report.schema import report_schema
from tests.integration.chain import (
    DOCKERFILE,
    SITES,
    Chain,
    kill_hard,
    make_chain,
    only_target,
    outcomes,
    stages,
    wait_until,
    write_project,
    write_site,
)
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab

_MANIFEST_TYPES = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


@pytest.fixture(scope="module")
def shipped(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chain, dict[str, Any]]]:
    """A project shipped once to both sites, for tests that only look."""
    made = make_chain(lab, tmp_path_factory.mktemp("shipped"))
    yield made, made.ship()
    made.wipe()


def tag_digest(chain: Chain) -> str:
    """What the registry says the release tag is, asked over plain HTTP; empty when there is no such tag."""
    url = f"http://{chain.lab.registry}/v2/{chain.namespace}/{chain.image}/manifests/1.0"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": _MANIFEST_TYPES})) as answer:
            return str(answer.headers["Docker-Content-Digest"])
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return ""


# ---- the chain as it should go ----


def test_one_digest_from_build_to_job(shipped: tuple[Chain, dict[str, Any]]) -> None:
    """What was built, confirmed, delivered, smoke-tested and promoted is one digest, on both sites."""
    chain, report = shipped
    assert report["exit"] == {"code": 0, "name": "OK", "retryable": False}, report["errors"]
    digest = only_target(report)["digest"]
    assert tag_digest(chain) == digest
    for site in SITES:
        link = chain.readlink(site)
        assert link == f"../sif/{chain.image}/{digest.removeprefix('sha256:')}.sif"
        assert chain.readlink(site, "1.0") == link
        sha = chain.lab.ssh(site, f"sha256sum {chain.root}/{chain.image}/current").stdout.split()[0]
        results = chain.lab.ssh(site, f"cat {chain.root}/.hpcbake/jobs/*/*/*/attempt-1/result.json").stdout
        result = json.loads(results)
        assert (result["digest"], result["sif_sha256"], result["exit_code"]) == (digest, sha, 0)
        labels = chain.lab.ssh(site, _with_apptainer(f"apptainer inspect --labels {chain.root}/{chain.image}/current"))
        assert digest in labels.stdout
        image = next(s for s in report["sites"] if s["name"] == site)["images"][0]
        assert image["before"] is None
        assert image["after"] == {"digest": digest, "sif_sha256": sha, "path": link}


def _with_apptainer(command: str) -> str:
    return f"if [ -e /opt/apps ]; then . /etc/profile.d/modules.sh; module load apptainer; fi; {command}"


def test_the_report_fits_its_schema(shipped: tuple[Chain, dict[str, Any]]) -> None:
    """The JSON report is what its schema says, with the host key of each login node and the job of each test."""
    _, report = shipped
    jsonschema.validate({k: v for k, v in report.items() if k != "stderr"}, report_schema())
    for site in report["sites"]:
        assert re.fullmatch(r"SHA256:\S{43}", site["host_key"])
        job = stages(report, site["name"])["smoke"]["evidence"]["jobs"][0]
        assert job["id"].isdigit()
        assert job["node"] == {"alder": "alder", "birch": "birch-c1"}[site["name"]]


def test_a_second_ship_changes_nothing(chain: Chain) -> None:
    """Nothing is uploaded, pulled, submitted or touched by the second run; every outcome is `unchanged`."""
    assert chain.ship()["exit"]["code"] == 0
    before = {site: chain.listing(site) for site in SITES}
    jobs = {site: chain.jobs(site) for site in SITES}
    uploads = _registry_files(chain)
    again = chain.ship()
    assert outcomes(again) == {"alder": "unchanged", "birch": "unchanged"}
    assert again["exit"]["code"] == 0
    assert {site: chain.listing(site) for site in SITES} == before
    assert {site: chain.jobs(site) for site in SITES} == jobs
    assert _registry_files(chain) == uploads


def _registry_files(chain: Chain) -> str:
    """Every file that the registry keeps of this project, with its time of modification."""
    folder = "/var/lib/docker-registry/docker/registry/v2/repositories/" + chain.namespace
    shown = chain.lab.exec("registry", ["find", folder, "-type", "f", "-printf", "%p %T@\\n"])
    assert shown.returncode == 0, shown.stderr
    return "\n".join(sorted(line for line in shown.stdout.splitlines() if "/_manifests/" in line))


def test_a_changed_image_replaces_the_old_one_and_keeps_it(chain: Chain) -> None:
    """After a change `current` is the new digest, and the old SIF still lies beside it, untouched."""
    first = only_target(chain.ship())["digest"]
    chain.environment["CONTENT"] = "second"
    report = chain.ship()
    second = only_target(report)["digest"]
    assert second != first
    for site in SITES:
        assert second.removeprefix("sha256:") in chain.readlink(site)
        assert f"./sif/{chain.image}/{first.removeprefix('sha256:')}.sif" in chain.files(site)
        image = next(s for s in report["sites"] if s["name"] == site)["images"][0]
        assert (image["before"]["digest"], image["after"]["digest"]) == (first, second)


def test_modulefiles_work_with_the_real_module_programs(chain: Chain) -> None:
    """`module load` sets the SIF's variable and puts the exposed command on PATH, with Lmod and with Tcl modules."""
    write_project(chain, project="expose:\n  - commands: [getconf]\n")
    assert chain.ship()["exit"]["code"] == 0
    variable = re.sub(r"[^A-Za-z0-9]", "_", chain.image).upper() + "_SIF"
    for site in SITES:
        load = f"module use {chain.root}/modules; module load {chain.image}/1.0"
        lines = chain.lab.ssh(
            site, f"bash -lc '{load}; echo ${variable}; getconf GNU_LIBC_VERSION'"
        ).stdout.splitlines()
        assert lines[0].endswith(".sif"), lines
        assert lines[1] == "glibc 2.31"


# ---- what must not reach a site ----

_TOO_NEW = (
    DOCKERFILE.replace("FROM scratch", "FROM ${NEWER_BASE} AS newer\n    FROM scratch").replace(
        "ARG BASE\n", "ARG BASE\n    ARG NEWER_BASE\n", 1
    )
    + "    COPY --from=newer /usr/bin/tar /usr/bin/tar\n"
)


def test_a_broken_image_reaches_no_site(chain: Chain) -> None:
    """A program that needs a newer glibc than the image has is stopped by the check: named, no SIF, no tag, no job."""
    write_project(chain, dockerfile=_TOO_NEW)
    report = chain.ship("--set", f"*.args.NEWER_BASE={chain.lab.env['NEWER_BASE']}")
    assert report["exit"]["code"] == 30
    text = json.dumps(report["errors"])
    assert "/usr/bin/tar" in text
    assert re.search(r"GLIBC_2\.3[3-9]", text)
    assert all(error["remedy"] for error in report["errors"])
    for site in SITES:
        assert chain.files(site) == []
    assert tag_digest(chain) == ""


def test_a_failed_smoke_test_leaves_yesterday_running(chain: Chain) -> None:
    """A smoke test that says no: exit 50, the old release stays current, the tag stays, the log is in the report."""
    first = only_target(chain.ship())["digest"]
    chain.environment["CONTENT"] = "second"
    write_project(chain, project="smoke:\n  - name: picky\n    command: [sh, -c, 'echo oh no; exit 7']\n")
    report = chain.ship()
    assert report["exit"]["code"] == 50
    for site in SITES:
        assert first.removeprefix("sha256:") in chain.readlink(site)
        job = stages(report, site)["smoke"]["evidence"]["jobs"][0]
        assert (job["exit"], job["reason"]) == ("7", "exit code 7")
        assert "oh no" in job["tail"]
    assert tag_digest(chain) == first


def test_a_failed_smoke_test_is_not_run_again_unasked(chain: Chain) -> None:
    """The verdict on the very same SIF stands until --retry-failed asks for another attempt."""
    write_project(chain, project="smoke:\n  - name: picky\n    command: [sh, -c, 'exit 7']\n")
    chain.ship("--site", "alder")
    jobs = chain.jobs("alder")
    assert chain.ship("--site", "alder")["exit"]["code"] == 50
    assert chain.jobs("alder") == jobs
    chain.ship("--site", "alder", "--retry-failed")
    assert len(chain.jobs("alder")) == len(jobs) + 1


# ---- trust ----


@pytest.mark.alone
@pytest.mark.parametrize(("site", "hop"), [("alder", "alder"), ("birch", "bastion"), ("birch", "birch")])
def test_a_wrong_host_key_sends_nothing(chain: Chain, site: str, hop: str) -> None:
    """A changed key at the login node or at the jump host: exit 41, and sshd saw no login."""
    _forge_known_hosts(chain, hop)
    logins = _logins(chain, hop)
    report = chain.ship("--site", site)
    assert report["exit"]["code"] == 41
    assert report["errors"][0]["kind"] == "ssh.host-key-changed"
    assert "SHA256:" in stages(report, site)["survey"]["error"]["evidence"]["output"]
    assert _logins(chain, hop) == logins
    assert chain.files(site) == []


def _forge_known_hosts(chain: Chain, hop: str) -> None:
    """A known_hosts file that lists another key for one of the machines."""
    state = chain.lab.state
    key = chain.folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    other = key.with_suffix(".pub").read_text().split()[1]
    lines = []
    for line in (state / "known_hosts").read_text().splitlines():
        name, kind, blob = line.split()[:3]
        lines.append(f"{name} {kind} {other if hop in name.split(',') else blob}")
    forged = chain.folder / "known_hosts"
    forged.write_text("\n".join(lines) + "\n")
    config = (state / "ssh_config").read_text().replace(str(state / "known_hosts"), str(forged))
    (chain.folder / "ssh_config").write_text(config)
    for site in SITES:
        write_site(chain, site, login={"ssh_config": str(chain.folder / "ssh_config")})


def _logins(chain: Chain, node: str) -> int:
    """How many logins the sshd of a node has accepted since it started."""
    log = chain.lab.exec(node, ["sh", "-c", "cat /var/log/sshd.log /var/log/auth.log 2>/dev/null; true"]).stdout
    return log.count("Accepted publickey")


def test_a_dead_site_does_not_stop_the_other(chain: Chain) -> None:
    """One unreachable site: the other is promoted all the same; exit 3, cause and next command in the report."""
    write_site(chain, "birch", login={"host": "alder", "port": "1", "connect_timeout": "2s"})
    report = chain.ship()
    assert report["exit"]["code"] == 3
    assert outcomes(report) == {"alder": "ok", "birch": "failed"}
    error = report["errors"][0]
    assert (error["site"], error["kind"], error["code"]) == ("birch", "ssh.refused", 40)
    assert error["next"].startswith("hpcbake ship --site birch")
    assert chain.readlink("alder")
    assert tag_digest(chain) == "", "a tag moves only when every selected site has the release"


# ---- dying and coming back ----


@pytest.mark.parametrize("stage", ["build", "deliver", "smoke", "promote"])
def test_a_killed_ship_resumes(chain: Chain, stage: str) -> None:
    """kill -9 in any stage: `current` is old or new, never anything else, and the same command finishes the rest."""
    old = only_target(chain.ship())["digest"]
    chain.environment["CONTENT"] = f"killed in {stage}"
    write_project(chain, project="smoke:\n  - name: slow\n    command: [sh, -c, 'sleep 2; echo done']\n")
    process = chain.start("ship")
    wait_until(lambda: _journal_says(chain, stage), f"stage {stage} in the journal")
    kill_hard(process)
    for site in SITES:
        assert re.fullmatch(rf"\.\./sif/{chain.image}/[0-9a-f]{{64}}\.sif", chain.readlink(site))
    report = chain.ship()
    assert report["exit"]["code"] == 0, report["errors"]
    assert report["run"]["resumes"]
    assert "died in" in report["stderr"]
    new = only_target(report)["digest"]
    assert new != old
    for site in SITES:
        assert new.removeprefix("sha256:") in chain.readlink(site)
        left = [name for name in chain.files(site) if "/incoming/" in name or "/leases/" in name]
        assert left == []
        slow = [name for name in chain.jobs(site) if _job_digest(new) in name]
        assert len(slow) == 1, f"one job per image and test, whatever was killed: {slow}"


def _job_digest(digest: str) -> str:
    return f"hpcbake-{digest.removeprefix('sha256:')[:12]}-"


def _journal_says(chain: Chain, stage: str) -> bool:
    runs = sorted((chain.folder / "state" / "runs").glob("*/journal.jsonl"))
    if len(runs) < 2:
        return False
    entries = [json.loads(line) for line in runs[-1].read_text().splitlines() if line.endswith("}")]
    return any(entry["act"] == "do" and entry.get("stage") == stage for entry in entries)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_with_a_report(chain: Chain, number: int, code: int) -> None:
    """Ctrl-C and its kin: within 10 s, the right exit code, a report that says how to go on; nothing visible moved."""
    write_project(chain, project="smoke:\n  - name: slow\n    command: [sh, -c, 'sleep 30']\n")
    process = chain.start("ship", "--json", "--site", "alder")
    wait_until(
        lambda: bool(chain.lab.ssh("alder", f"ls {chain.root}/.hpcbake/jobs/*/*/*/attempt-1/job").stdout), "the job"
    )
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=15)
    assert time.monotonic() - began < 10
    assert process.returncode == code, err
    report = json.loads(out)
    assert report["run"]["interrupted_by"] == signal.Signals(number).name
    assert "the next run takes it up" in report["sites"][0]["left_behind"][0]
    assert chain.readlink("alder") == ""
    chain.lab.ssh("alder", f"scancel -n $(cat {chain.root}/.hpcbake/jobs/*/*/*/attempt-1/name)")


# ---- the other verbs ----


def test_the_verbs_one_by_one_do_what_ship_does(chain: Chain) -> None:
    """print, build, check, deliver, smoke and promote, each on the digest that the one before printed."""
    plan = json.loads(chain.run("print", check=True).stdout)
    assert list(plan["target"]) == [chain.image]
    reference = chain.run("build", check=True).stdout.split()[1]
    assert "@sha256:" in reference
    assert tag_digest(chain) == "", "a build moves no tag"
    chain.run("check", reference, "--site", "alder", "--site", "birch", check=True)
    named = f"{chain.image}={reference}"
    chain.run("deliver", named, "--site", "alder", check=True)
    assert chain.readlink("alder") == ""
    chain.run("smoke", named, "--site", "alder", check=True)
    assert chain.readlink("alder") == ""
    chain.run("promote", named, "--site", "alder", check=True)
    assert reference.rsplit(":", 1)[-1] in chain.readlink("alder")
    status = json.loads(chain.run("status", "--site", "alder", "--verify", "--json", check=True).stdout)
    release = status["sites"][0]["images"][0]["releases"][0]
    assert (release["state"], release["current"]) == ("verified", True)


def test_dry_run_touches_nothing(chain: Chain) -> None:
    """--dry-run shows the commands; neither the registry nor a site learns of it."""
    shown = chain.run("ship", "--dry-run", check=True).stdout
    assert "apptainer pull" in shown
    assert "docker buildx bake" in shown
    for site in SITES:
        assert chain.files(site) == []
    catalogue = urllib.request.urlopen(f"http://{chain.lab.registry}/v2/_catalog?n=1000").read().decode()
    assert chain.namespace not in catalogue


def test_status_sees_a_changed_sif(chain: Chain) -> None:
    """One flipped byte in a SIF: `status --verify` names it and exits 43; a changed ledger gives 70."""
    assert chain.ship("--site", "alder")["exit"]["code"] == 0
    sif = f"$(readlink -f {chain.root}/{chain.image}/current)"
    chain.lab.ssh("alder", f"printf X | dd of={sif} bs=1 seek=40000 conv=notrunc")
    seen = chain.run("status", "--site", "alder", "--verify")
    assert seen.returncode == 43
    assert "is not what was verified" in seen.stdout
    chain.lab.ssh("alder", f"sed -i '1s/promoting/promised/' {chain.root}/.hpcbake/ledger.jsonl")
    assert chain.run("status", "--site", "alder").returncode == 70
