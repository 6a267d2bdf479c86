"""Builders over real SSH: the lab's engine behind a server whose only command is docker's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.chain import Chain, make_chain
from tests.integration.conftest import RunningLab
from tests.integration.sshd import Sshd, make_key, public_key

pytestmark = pytest.mark.lab


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    """A project of this test's own."""
    (tmp_path / "project").mkdir()
    made = make_chain(lab, tmp_path / "project")
    yield made
    made.wipe()


@dataclass
class BuildHost:
    """A build machine that is reached by ssh, and the ssh that reaches it."""

    server: Sshd
    folder: Path

    @property
    def url(self) -> str:
        return f"ssh://root@127.0.0.1:{self.server.port}"

    def trust(self) -> None:
        (self.folder / "known_hosts").write_text(f"{self.server.name} {public_key(self.server.host_key)}\n")


@pytest.fixture
def host(chain: Chain, tmp_path: Path) -> Iterator[BuildHost]:
    """The engine of the lab, by ssh, for this test's user and project alone."""
    if os.geteuid() != 0:
        pytest.skip("the test's SSH server lets root in to the lab's engine")
    environment = chain.lab.env
    key = make_key(tmp_path / "user_key")
    docker = shutil.which("docker", path=environment["PATH"])
    forced = f"env DOCKER_HOST={environment['DOCKER_HOST']} {docker} system dial-stdio"
    server = Sshd(tmp_path / "sshd", key, lines=[f"ForceCommand {forced}"])
    server.start()
    (tmp_path / "config").write_text(
        f"Host *\n  IdentityFile {key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {tmp_path}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/config "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    shutil.copytree(environment["DOCKER_CONFIG"], tmp_path / "docker")
    chain.environment.update(PATH=f"{tmp_path}/bin:{environment['PATH']}", DOCKER_CONFIG=str(tmp_path / "docker"))
    yield BuildHost(server, tmp_path)
    server.stop()


def test_a_remote_machine_becomes_a_node(chain: Chain, host: BuildHost) -> None:
    """Refused with an unknown key; added beside this machine, once; listed, checked, removed."""
    refused = chain.run("builder", "add", "--no-start", host.url)
    assert refused.returncode == 11
    assert "is not in your known_hosts" in refused.stderr
    host.trust()
    chain.run("builder", "add", "--no-start", host.url, check=True)
    again = chain.run("builder", "add", "--no-start", host.url, check=True)
    assert "nothing changed" in again.stdout
    listed = json.loads(chain.run("builder", "list", "--json", check=True).stdout)["builders"]
    (made,) = [builder for builder in listed if builder["name"] == "hpcbake"]
    assert [node["endpoint"] for node in made["nodes"]] == [chain.lab.env["DOCKER_HOST"], host.url]
    assert made["nodes"][1]["given"] == ["linux/amd64"]
    assert made["site_platform"]["node"] == made["nodes"][1]["name"]
    assert "ok    hpcbake-127-0-0-1" in chain.run("builder", "check", check=True).stdout
    host.server.stop()
    dead = chain.run("builder", "check")
    assert dead.returncode == 11
    assert "does not answer" in dead.stdout
    assert "what runs there of it stays" in chain.run("builder", "remove", check=True).stderr
    assert chain.run("builder", "check").returncode == 2


def test_an_image_is_built_over_ssh_and_shipped(chain: Chain, host: BuildHost) -> None:
    """A builder that is another machine's engine: it is named, native, and what it built is promoted."""
    host.trust()
    environment = {name: value for name, value in chain.environ().items() if name != "DOCKER_HOST"}
    argv = ["docker", "context", "create", "faraway", "--docker", f"host={host.url}"]
    subprocess.run(argv, env=environment, check=True, capture_output=True)
    done = chain.run("ship", "--builder", "faraway", "--site", "alder", "--progress", "plain", check=True)
    assert "linux/amd64: native on node faraway" in done.stderr
    assert chain.readlink("alder").endswith(".sif")
    assert host.server.logins() >= 1
