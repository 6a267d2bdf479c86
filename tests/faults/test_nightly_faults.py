"""Nights on the lab one trouble at a time: what is built and why, who catches up, what a bad moment leaves behind."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcbake.errors import ExitCode
from tests.faults.nights import Nights, Twist, check_night, make_nights, own_disk
from tests.integration.chain import SITES, Chain, make_chain, write_site
from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    yield made
    made.wipe()


@pytest.fixture(scope="module")
def nights(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """One project for all single faults; after each it is whole again."""
    folder = tmp_path_factory.mktemp("nights")
    with own_disk(folder / "state", 4096):
        made = make_nights(lab, folder, seed=5)
        assert made.spend(0, "nothing", changes=True).code == 0
        yield made
        made.wipe()


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("terminated", {143}),
        ("hung up", {129}),
        ("interrupted", {130}),
        ("report to a full device", {73}),
        ("full disk here", {73}),
        ("clock three days ahead", {0}),
        ("clock three days behind", {0}),
        # On a slow machine one of them may have no patience left for a lease of the other.
        ("two controllers", {0, 3, 75}),
        ("lock from before a reboot", {0}),
    ],
)
def test_a_night_and_the_night_after(fault: str, codes: set[int], nights: Nights) -> None:
    """The exit code is the fault's; the next night brings what this one did not, and nobody does anything."""
    bad = nights.spend(nights.random.randint(1, 10**6), fault, changes=True)
    check_night(nights, bad)
    assert bad.code in codes | ({0} if min(codes) > 128 else set()), bad.said  # a signal may come when all is done
    after = nights.spend(0, "nothing", changes=False)
    assert after.code == 0, after.said
    for site in SITES:
        assert nights.is_tested(site, after.currents[site])
        assert nights.content_at(site) == nights.content


@pytest.mark.parametrize("seed", range(4))
def test_a_signal_at_any_moment_ends_in_ten_seconds_with_a_report(seed: int, nights: Nights) -> None:
    """TERM, HUP or INT between the build and the last link: 128 + its number, old or new at each site, a report."""
    chooser = random.Random(seed)
    number = chooser.choice([signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
    before = nights.currents()
    nights.content = f"signal-{seed}"
    (nights.chain.folder / "content").write_text(nights.content)
    report = nights.chain.folder / f"report-{seed}.json"
    process = nights.start(Twist(words=["--report", str(report)]))
    try:
        process.wait(chooser.uniform(2.0, 12.0))
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    said = process.communicate(timeout=20)[0]
    assert process.returncode in (0, 128 + number, -number), said
    if process.returncode == 128 + number:
        assert json.loads(report.read_text())["exit"]["code"] == 128 + number
    for site, digest in nights.currents().items():
        assert digest == before[site] or nights.is_tested(site, digest)
    assert nights.spend(0, "nothing", changes=False).code == 0


def test_a_site_that_was_dead_catches_up_without_a_build(chain: Chain) -> None:
    """The night after nothing is built; the dead site gets the very digest, the other is not touched."""
    dead = chain.folder / "dead_ssh_config"
    dead.write_text("Host alder\n  HostName 127.0.0.1\n  Port 9\n")
    write_site(chain, "alder", login={"ssh_config": str(dead), "connect_timeout": "3s"})
    first = chain.run("nightly")
    assert first.returncode == ExitCode.PARTIAL, first.stderr
    assert chain.readlink("alder") == ""
    before = chain.listing("birch")
    write_site(chain, "alder")
    second = chain.run("nightly", check=True)
    assert "nothing has changed since" in second.stderr
    assert chain.readlink("alder") == chain.readlink("birch")
    assert chain.listing("birch") == before


def test_a_base_that_moved_is_the_reason(chain: Chain) -> None:
    """Somebody pushes another image under the base's tag: built once, and the run names both digests."""
    base = f"{chain.lab.registry}/{chain.namespace}/base:1"
    docker = chain.lab.docker
    old = chain.lab.env["BASE"]
    assert docker("buildx", "imagetools", "create", "--tag", base, old).returncode == 0
    chain.environment["BASE"] = base
    chain.run("nightly", "--site", "alder", check=True)
    assert "nothing has changed" in chain.run("nightly", "--site", "alder", check=True).stderr
    assert docker("buildx", "imagetools", "create", "--tag", base, chain.lab.env["BASE_MINIMAL"]).returncode == 0
    moved = chain.run("nightly", "--site", "alder", check=True)
    assert f"to be built: base {base} moved from sha256:" in moved.stderr
    assert "nothing has changed" in chain.run("nightly", "--site", "alder", check=True).stderr


def test_a_broken_build_is_told_and_sites_keep_working(chain: Chain) -> None:
    """The Dockerfile is broken and birch has lost its store: exit 3, and birch has the last good digest again."""
    chain.run("nightly", check=True)
    good = chain.readlink("birch")
    chain.lab.ssh("birch", f"rm -rf {chain.root}")
    with (chain.folder / "Dockerfile").open("a") as file:
        file.write("RUN exit 7\n")
    night = chain.run("nightly", "--json")
    report = json.loads(night.stdout)
    assert report["exit"]["code"] == night.returncode == ExitCode.PARTIAL, night.stderr
    assert report["targets"][0]["build"]["status"] == "failed"
    assert report["targets"][0]["build"]["error"]["code"] == ExitCode.BUILD
    assert chain.readlink("birch") == good


def test_no_secret_reaches_anything_that_is_written(lab: RunningLab, chain: Chain, tmp_path: Path) -> None:
    """A registry's password, a token of the environment, a build secret that a step prints: nowhere."""
    password = (lab.state / "registry-password").read_text().strip()
    config = tmp_path / "docker-config"
    shutil.copytree(lab.env["DOCKER_CONFIG"], config)
    within = {**lab.env, "DOCKER_CONFIG": str(config)}
    login = ["docker", "login", lab.registry_tls, "-u", "baker", "--password-stdin"]
    subprocess.run(login, env=within, input=password, text=True, capture_output=True, check=True)
    chain.environment |= {
        "DOCKER_CONFIG": str(config),
        "REGISTRY": lab.registry_tls,
        "SSL_CERT_FILE": str(lab.state / "ca.crt"),
        "PLANTED_TOKEN": "planted-in-the-environment",
    }
    bake = (chain.folder / "docker-bake.hcl").read_text()
    argument = 'args      = { LOUD_SECRET = "planted-in-an-argument", OTHER = "planted-in-the-environment", '
    (chain.folder / "docker-bake.hcl").write_text(bake.replace("args      = { ", argument))
    dockerfile = (chain.folder / "Dockerfile").read_text()
    loud = f'ARG LOUD_SECRET\nARG OTHER\nRUN echo "loud $LOUD_SECRET $OTHER {password}" >&2; '
    (chain.folder / "Dockerfile").write_text(dockerfile.replace("RUN mkdir -p /r/bin", loud + "mkdir -p /r/bin", 1))
    nights = [chain.run("nightly", "--log-level", "debug", "--json", "--site", "alder")]
    (chain.folder / "Dockerfile").write_text(dockerfile.replace("RUN mkdir -p /r/bin", loud + "exit 7; mkdir", 1))
    nights.append(chain.run("nightly", "--log-level", "debug", "--site", "alder"))
    assert "loud" in nights[-1].stdout + nights[-1].stderr, "the failing step's words are shown"
    written = {str(path): path.read_bytes() for path in (chain.folder / "state").rglob("*") if path.is_file()}
    assert any(name.endswith("build.log") for name in written)
    assert any(b"[redacted]" in content for content in written.values())
    texts = [*written.items(), *((f"night {n}", (d.stdout + d.stderr).encode()) for n, d in enumerate(nights))]
    for secret in (password, "planted-in-the-environment", "planted-in-an-argument"):
        assert [name for name, content in texts if secret.encode() in content] == []
