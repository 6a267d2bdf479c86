"""The facts about the lab that every other integration test rests on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.alone]

LOAD_MODULES = ". /etc/profile.d/modules.sh && module load apptainer"


def hpcbake_lab(lab: RunningLab, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hpcbake", "lab", *words]
    return subprocess.run(argv, env=lab.env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(("site", "glibc", "slurm"), [("alder", "2.41", "24.11"), ("birch", "2.31", "20.11")])
def test_a_site_answers_over_ssh_with_its_own_userland(lab: RunningLab, site: str, glibc: str, slurm: str) -> None:
    """alder is the new userland and birch the old one, and both let the lab's user in."""
    answer = lab.ssh(site, "hostname; id -un; getconf GNU_LIBC_VERSION; sinfo -V")
    assert answer.returncode == 0, answer.stderr
    hostname, user, libc, version = answer.stdout.splitlines()
    assert (hostname, user, libc) == (site, "alice", f"glibc {glibc}")
    assert version.removeprefix("slurm-wlm ").startswith(slurm)


def test_birch_is_reached_through_the_bastion_only(lab: RunningLab) -> None:
    """The jump is needed, not decoration: without it there is no way to birch."""
    config = str(lab.state / "ssh_config")
    argv = ["ssh", "-F", config, "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-J", "none", "birch", "true"]
    assert subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 255
    assert lab.ssh("birch", "true").returncode == 0


def test_host_keys_are_checked_at_every_hop(lab: RunningLab, tmp_path: Path) -> None:
    """With a known_hosts file that lacks a hop, nothing is sent to it."""
    lines = (lab.state / "known_hosts").read_text().splitlines(keepends=True)
    for absent in ("alder", "birch"):
        strange = tmp_path / f"without-{absent}"
        strange.write_text("".join(line for line in lines if not line.startswith((f"{absent} ", "[127."))))
        argv = ["ssh", "-F", str(lab.state / "ssh_config"), "-o", f"UserKnownHostsFile={strange}", absent, "true"]
        refused = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert refused.returncode == 255
        assert "Host key verification failed" in refused.stderr


@pytest.mark.parametrize(("site", "ran_on"), [("alder", "alder"), ("birch", "birch-c1")])
def test_sbatch_runs_a_job_on_the_compute_node(lab: RunningLab, site: str, ran_on: str) -> None:
    """A job runs, its exit code comes back, and its output lies where the login node sees it."""
    folder = lab.scratch("sbatch")
    job = f"mkdir {folder} && cd {folder} && sbatch --parsable --wait --output=out --wrap 'hostname; exit 3'"
    answer = lab.ssh(site, f"{job}; echo code $?; cat {folder}/out; rm -r {folder}")
    assert answer.stdout.splitlines()[1:] == ["code 3", ran_on], answer.stdout + answer.stderr


def test_accounting_is_kept_on_alder(lab: RunningLab) -> None:
    """sacct knows a finished job there, after a moment."""
    job = lab.ssh("alder", "cd /scratch && sbatch --parsable --wait --output=/dev/null --wrap true").stdout.strip()
    deadline = time.monotonic() + 30
    states: list[str] = []
    while time.monotonic() < deadline and states != ["COMPLETED"]:
        states = lab.ssh("alder", f"sacct -nPX -j {job} -o State").stdout.split()
    assert states == ["COMPLETED"]


def test_accounting_is_disabled_on_birch(lab: RunningLab) -> None:
    """sacct is there and says that it has nothing: the case that a poller must survive."""
    answer = lab.ssh("birch", "sacct")
    assert answer.returncode == 1
    assert "accounting storage is disabled" in answer.stdout + answer.stderr


def test_apptainer_is_on_path_on_alder_and_a_module_on_birch(lab: RunningLab) -> None:
    """Both ways in which sites offer it."""
    assert lab.ssh("alder", "apptainer --version").stdout.startswith("apptainer version 1.4")
    assert lab.ssh("birch", "apptainer --version").returncode == 127
    assert lab.ssh("birch", f"{LOAD_MODULES} && apptainer --version").stdout.startswith("apptainer version 1.4")


def test_alder_has_lmod_and_birch_has_tcl_modules(lab: RunningLab) -> None:
    """Modulefiles of both kinds can be tried for real."""
    assert "Lua" in lab.ssh("alder", "bash -lc 'module --version 2>&1'").stdout
    assert "Lua" not in lab.ssh("birch", "bash -lc 'module --version 2>&1'").stdout


@pytest.mark.parametrize("site", ["alder", "birch"])
def test_the_registry_has_one_name_here_and_on_login_nodes(lab: RunningLab, site: str) -> None:
    """localhost:PORT answers on the user's machine and on every login node, with the same content."""
    port = lab.registry.rpartition(":")[2]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
    connection.request("GET", "/v2/_catalog")
    assert "lab/debian" in json.loads(connection.getresponse().read())["repositories"]
    ask = rf"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /v2/_catalog HTTP/1.0\r\n\r\n' >&3; cat <&3"
    assert '"lab/debian"' in lab.ssh(site, f'bash -c "{ask}"').stdout


def test_the_compute_node_of_birch_reaches_the_registry_through_its_login_node_only(lab: RunningLab) -> None:
    """By the name that it has everywhere, for jobs that pull; not directly."""
    port = lab.registry.rpartition(":")[2]
    for host, is_reached in (("127.0.0.1", True), ("registry", False)):
        command = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{host}/{port}'"
        assert (lab.ssh("birch", f'srun -n1 sh -c "{command}"').returncode == 0) == is_reached
    assert lab.ssh("birch", "srun -n1 true").returncode == 0


@pytest.mark.parametrize("site", ["alder", "birch"])
def test_apptainer_pulls_runs_and_runs_in_a_job(lab: RunningLab, site: str) -> None:
    """An unprivileged user pulls the small stand-in by its digest on the login node and runs it on the compute node."""
    folder = lab.scratch("pull")
    prelude = f"{LOAD_MODULES}; " if site == "birch" else ""
    name, _, digest = lab.env["BASE_MINIMAL"].partition("@")
    uri = f"docker://{name.rpartition(':')[0]}@{digest}"
    try:
        pulled = lab.ssh(
            site, f"{prelude}mkdir {folder} && apptainer pull --no-https {folder}/x.sif {uri}", timeout_s=300
        )
        assert pulled.returncode == 0, pulled.stderr[-2000:]
        ran = lab.ssh(site, f"{prelude}srun -n1 apptainer exec {folder}/x.sif getconf GNU_LIBC_VERSION")
        assert ran.stdout.strip() == "glibc 2.31", ran.stderr[-2000:]
    finally:
        lab.ssh(site, f"rm -rf {folder}")


def test_the_tls_registry_wants_its_certificate_and_a_password(lab: RunningLab) -> None:
    """Without credentials it refuses; with them a login node that trusts the lab's authority gets an answer."""
    password = (lab.state / "registry-password").read_text()
    refused = lab.ssh("alder", f"apptainer pull /tmp/none.sif docker://{lab.registry_tls}/lab/none:1")
    assert refused.returncode == 255
    assert "authentication required" in refused.stderr or "UNAUTHORIZED" in refused.stderr
    script = (
        f"read -r APPTAINER_DOCKER_PASSWORD; export APPTAINER_DOCKER_PASSWORD APPTAINER_DOCKER_USERNAME=baker; "
        f"apptainer pull /tmp/none.sif docker://{lab.registry_tls}/lab/none:1"
    )
    unknown = lab.ssh("alder", script, password + "\n")
    assert "manifest unknown" in unknown.stderr.lower().replace("_", " ")


def test_the_standin_says_what_it_is_and_compiles(lab: RunningLab) -> None:
    """It is Debian 11 by its own words and labels, and has what the example's Dockerfile needs."""
    base = lab.env["BASE"]
    labels = json.loads(lab.docker("image", "inspect", "--format", "{{json .Config.Labels}}", base).stdout)
    assert "NOT Rocky Linux" in labels["org.opencontainers.image.description"]
    assert "rocky" not in base
    program = (
        "#include <omp.h>\n#include <stdio.h>\n"
        'int main(void){int n=0;\n#pragma omp parallel reduction(+:n)\nn+=1;\nprintf("%d\\n", n);return 0;}\n'
    )
    script = (
        "cat >/tmp/p.c; gcc -O2 -fopenmp -o /tmp/p /tmp/p.c && OMP_NUM_THREADS=3 /tmp/p && "
        "python3 -c 'import ctypes, json, math, subprocess; print(json.dumps(math.floor(math.pi)))' && "
        "sed -n s/^VERSION_CODENAME=//p /etc/os-release"
    )
    ran = lab.docker("run", "--rm", "--interactive", "--network", "none", base, "sh", "-c", script, input=program)
    assert ran.stdout.split() == ["3", "3", "bullseye"], ran.stderr


def test_tight_is_a_file_system_that_fills_up(lab: RunningLab) -> None:
    """birch:/tight holds 8 MB, for tests of full disks."""
    filled = lab.ssh("birch", "head -c 9m /dev/zero >/tight/fill; code=$?; rm -f /tight/fill; exit $code")
    assert filled.returncode != 0
    assert "No space left on device" in filled.stderr


def test_a_machine_whose_daemon_died_is_mended_whole(lab: RunningLab) -> None:
    """`up` starts it again, and everybody may write in its tmpfs as before."""
    assert lab.exec("birch", ["pkill", "-x", "slurmctld"]).returncode == 0
    again = hpcbake_lab(lab, "up")
    assert again.returncode == 0, again.stderr
    assert f"restarting {lab.container('birch')}" in again.stderr
    filled = lab.ssh("birch", "head -c 1m /dev/zero >/tight/fill && rm /tight/fill && srun -n1 hostname")
    assert (filled.stdout, filled.stderr) == ("birch-c1\n", "")


def test_up_twice_does_nothing(lab: RunningLab) -> None:
    """No container is made anew, no key changes, and it takes seconds."""
    before = lab.docker("ps", "--no-trunc", "--quiet").stdout
    keys = (lab.state / "known_hosts").read_text()
    started = time.monotonic()
    again = hpcbake_lab(lab, "up")
    assert again.returncode == 0, again.stderr
    assert time.monotonic() - started < 15
    assert sorted(lab.docker("ps", "--no-trunc", "--quiet").stdout.split()) == sorted(before.split())
    assert (lab.state / "known_hosts").read_text() == keys


def test_status_tells_versions_read_from_the_machines(lab: RunningLab) -> None:
    """The JSON document carries kind and version, and what the nodes said."""
    answer = hpcbake_lab(lab, "status", "--json")
    document = json.loads(answer.stdout)
    assert (answer.returncode, document["kind"], document["up"]) == (0, "hpcbake.lab.status", True)
    assert document["nodes"]["birch-c1"]["glibc"] == "2.31"
    assert document["nodes"]["alder"]["apptainer"].startswith("1.4")


def test_the_users_own_files_are_not_touched(lab: RunningLab) -> None:
    """Keys, known hosts and registry logins of the lab lie in its state folder only."""
    assert Path(lab.env["DOCKER_CONFIG"]).is_relative_to(lab.state)
    known_hosts = Path.home() / ".ssh/known_hosts"
    lab_keys = {line.split()[2] for line in (lab.state / "known_hosts").read_text().splitlines()}
    assert not known_hosts.exists() or not any(key in known_hosts.read_text() for key in lab_keys)
    assert (lab.state / "id_lab").stat().st_mode & 0o077 == 0
    assert (lab.state / "id_lab").stat().st_uid in (os.getuid(), int(os.environ.get("SUDO_UID", os.getuid())))


def test_shell_reaches_a_machine_without_sshd(lab: RunningLab) -> None:
    """`lab shell` takes docker where ssh has nobody to talk to, and keeps the words apart."""
    assert hpcbake_lab(lab, "shell", "birch-c1", "hostname").stdout == "birch-c1\n"
    assert hpcbake_lab(lab, "shell", "birch", "printf", "%s|", "a  b", "c;d").stdout == "a  b|c;d|"
    wrong = hpcbake_lab(lab, "shell", "cedar")
    assert wrong.returncode == 2
    assert "birch-c1" in wrong.stderr
