"""The lab comes, goes, and comes back, and leaves nothing behind.

These tests take the lab down, so they run only when asked: HPCBAKE_LAB_LIFECYCLE=1 (docs/lab.md).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.conftest import RunningLab

pytestmark = [
    pytest.mark.lab,
    pytest.mark.alone,
    pytest.mark.skipif(
        os.environ.get("HPCBAKE_LAB_LIFECYCLE") != "1", reason="takes the lab down: HPCBAKE_LAB_LIFECYCLE=1 asks for it"
    ),
]

WARM_UP_S = 60.0


def lab_argv(*words: str) -> list[str]:
    return [sys.executable, "-m", "hpcbake", "lab", *words]


def hpcbake_lab(lab: RunningLab, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab_argv(*words), env=lab.env, capture_output=True, text=True, timeout=900, check=False)


def up(lab: RunningLab) -> float:
    """Bring the lab up; the seconds it took."""
    started = time.monotonic()
    done = hpcbake_lab(lab, "up")
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def engine_pid(lab: RunningLab) -> int:
    record = lab.state / "engine/engine.json"
    if not record.exists():
        pytest.skip("the lab runs on the user's own Docker, which is not ours to kill")
    return int(json.loads(record.read_text())["engine"])


def output_of(*argv: str) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout
    except FileNotFoundError:
        return ""


def find_leftovers(lab: RunningLab) -> list[str]:
    """Everything on this machine that a lab which is down must not have any more."""
    name, cache = lab.env["HPCBAKE_LAB_NAME"], lab.env["HPCBAKE_LAB_CACHE"]
    marks = (str(lab.state), cache)
    left = [
        f"state: {path}"
        for path in (lab.state / "lab.json", lab.state / "engine", lab.state / "id_lab")
        if path.exists()
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (process / "cgroup").read_text()
        except OSError:
            continue
        if any(mark in command for mark in marks) or f"/{name}/" in groups:
            left.append(f"process {process.name}: {command}")
    left += [
        f"mount: {line}" for line in Path("/proc/mounts").read_text().splitlines() if any(m in line for m in marks)
    ]
    left += [f"cgroup: {path}" for path in Path("/sys/fs/cgroup").glob(f"**/{name}")]
    cables = json.loads(output_of("ip", "-json", "link") or "[]")
    left += [f"link: {link['ifname']}" for link in cables if link["ifname"] == lab.env["CABLE"]]
    for rules in (output_of("iptables-save"), output_of("iptables-legacy-save")):
        left += [
            f"rule: {line}" for line in rules.splitlines() if lab.env["CABLE"] in line or f"--comment {name} " in line
        ]
    for kind in ("ps --all", "network ls", "volume ls"):
        words = [*kind.split(), "--quiet", "--filter", f"label=com.docker.compose.project={name}"]
        left += [f"docker {kind}: {line}" for line in output_of("docker", *words).splitlines()]
    return left


@pytest.fixture(autouse=True)
def cable_name(lab: RunningLab) -> None:
    """What the lab's one network link is called, while its record still says so."""
    from hpcbake.lab.uplink import cable_name

    lab.env["CABLE"] = cable_name(lab.env["HPCBAKE_LAB_NAME"])


def test_what_down_must_remove_is_found_while_the_lab_is_up(lab: RunningLab) -> None:
    """The search for leftovers finds processes, rules, links and state, so that finding nothing means something."""
    up(lab)
    engine_pid(lab)
    kinds = {left.partition(":")[0].split()[0] for left in find_leftovers(lab)}
    assert {"state", "process", "cgroup", "link", "rule"} <= kinds


def test_down_leaves_nothing_and_a_warm_up_is_quick(lab: RunningLab) -> None:
    """No container, network, mount, process, cgroup or packet filter rule; then everything is back within a minute."""
    up(lab)
    done = hpcbake_lab(lab, "down")
    assert done.returncode == 0, done.stderr
    assert find_leftovers(lab) == []
    assert hpcbake_lab(lab, "status").returncode == 11
    assert hpcbake_lab(lab, "down").returncode == 0
    assert up(lab) < WARM_UP_S
    assert lab.ssh("birch", "srun -n1 hostname").stdout == "birch-c1\n"


def test_a_killed_engine_comes_back(lab: RunningLab) -> None:
    """kill -9 of the engine ends every process of the lab; `up` mends it."""
    up(lab)
    pid = engine_pid(lab)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (
        left := [item for item in find_leftovers(lab) if item.startswith("process")]
    ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []
    assert hpcbake_lab(lab, "status").returncode == 11
    assert up(lab) < WARM_UP_S
    assert lab.ssh("alder", "srun -n1 hostname").stdout == "alder\n"


def test_down_after_a_killed_engine_leaves_nothing(lab: RunningLab) -> None:
    """Also the containers and volumes that the dead engine still has on disk."""
    up(lab)
    folder = lab.scratch("remains")
    assert lab.ssh("birch", f"mkdir {folder}").returncode == 0
    os.kill(engine_pid(lab), signal.SIGKILL)
    done = hpcbake_lab(lab, "down")
    assert done.returncode == 0, done.stderr
    assert find_leftovers(lab) == []
    up(lab)
    assert lab.ssh("birch", f"test -e {folder}").returncode != 0


@pytest.mark.parametrize("until", ["engine:", "starting"])
def test_an_interrupted_up_can_be_run_again(lab: RunningLab, until: str) -> None:
    """Ctrl-C ends it with code 130 wherever it is; the next `up` goes on."""
    assert hpcbake_lab(lab, "down").returncode == 0
    with subprocess.Popen(
        lab_argv("up"), env=lab.env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if until in line:
                os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the whole foreground group
                break
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert up(lab) < WARM_UP_S
    assert lab.ssh("alder", "srun -n1 hostname").stdout == "alder\n"


def test_a_taken_port_is_named_with_the_variable_that_changes_it(lab: RunningLab) -> None:
    """Exit code 11, the port, the variable; and nothing of the half-started lab is in the way afterwards."""
    assert hpcbake_lab(lab, "down").returncode == 0
    port = int(lab.env["HPCBAKE_LAB_PORT_BASTION"])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        refused = hpcbake_lab(lab, "up")
    assert refused.returncode == 11
    assert str(port) in refused.stderr
    assert "HPCBAKE_LAB_PORT_BASTION" in refused.stderr
    up(lab)


def test_up_mends_what_tests_of_faults_have_broken(lab: RunningLab) -> None:
    """A paused login node, a stopped registry, a killed daemon: `status` names them, `up` repairs them."""
    up(lab)
    lab.docker("pause", lab.container("birch"))
    lab.docker("stop", "--time", "1", lab.container("registry"))
    lab.exec("alder", ["pkill", "slurmctld"])
    told = hpcbake_lab(lab, "status")
    assert told.returncode == 11
    for words in ("slurmctld does not run", "paused", "exited"):
        assert words in told.stdout
    assert up(lab) < WARM_UP_S
    assert hpcbake_lab(lab, "status").returncode == 0
    assert lab.ssh("alder", "srun -n1 hostname").stdout == "alder\n"
    assert lab.ssh("birch", "srun -n1 hostname").stdout == "birch-c1\n"


def test_a_warm_up_needs_no_network(lab: RunningLab) -> None:
    """With only a loopback device in the world, the lab comes up from its cache."""
    engine_pid(lab)
    assert hpcbake_lab(lab, "down").returncode == 0
    inside = 'ip link set lo up && "$@" lab up && "$@" lab status && "$@" lab down'
    argv = ["unshare", "--net", "sh", "-euc", inside, "sh", sys.executable, "-m", "hpcbake"]
    alone = subprocess.run(argv, env=lab.env, capture_output=True, text=True, timeout=300, check=False)
    up(lab)
    assert alone.returncode == 0, alone.stdout + alone.stderr


def test_reset_empties_the_sites_and_keeps_the_keys(lab: RunningLab) -> None:
    """Stores, registry content and job numbers begin afresh; keys, ports and base images stay."""
    up(lab)
    keys = (lab.state / "known_hosts").read_text()
    folder, submit = lab.scratch("reset"), "sbatch --parsable --output=/dev/null --wrap true"
    for site in ("alder", "birch"):
        assert lab.ssh(site, f"mkdir {folder} && for i in 1 2 3; do {submit}; done").returncode == 0
    image = f"{lab.registry}/left/over:1"
    for words in (["tag", lab.env["NEWER_BASE"], image], ["push", "--quiet", image]):
        assert lab.docker(*words).returncode == 0
    started = time.monotonic()
    done = hpcbake_lab(lab, "reset")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < WARM_UP_S
    assert (lab.state / "known_hosts").read_text() == keys
    for site in ("alder", "birch"):
        assert lab.ssh(site, f"test -e {folder}").returncode != 0
        assert int(lab.ssh(site, submit).stdout) <= 2  # Slurm's first number is 1 or 2, by release
    lab.docker("image", "rm", image)
    assert lab.docker("pull", "--quiet", image).returncode != 0
    assert lab.docker("pull", "--quiet", lab.env["BASE_MINIMAL"]).returncode == 0
