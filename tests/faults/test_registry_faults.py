"""A registry that refuses, cuts, flips, hangs, resets and lies: between it and the site, and between it and us."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.chain import Chain, make_chain, wait_until, write_site
from tests.integration.conftest import RunningLab
from tests.registry_proxy import Fault, RegistryProxy

pytestmark = pytest.mark.lab

BLOB = r"/blobs/sha256:"
#: Who asks when the login node pulls.
SITES_OWN = r"^(?!hpcbake)"


class Stand:
    """One image in the real registry, delivered to alder through the proxy, which both ends call by one name."""

    def __init__(self, chain: Chain, proxy: RegistryProxy) -> None:
        self.chain = chain
        self.proxy = proxy
        self.number = 0

    def deliver(self, way: str, *faults: Fault, **runtime: Any) -> dict[str, Any]:
        """Deliver to a store of its own, with these faults; the report."""
        self.number += 1
        self.chain.root = f"/scratch/{self.chain.namespace}-{self.number}"
        settings = {"way": way, "plain_http": [self.proxy.address], "pull_timeout": "60s", **runtime}
        write_site(self.chain, "alder", runtime=settings)
        self.chain.environment["HPCBAKE_CACHE_DIR"] = str(self.chain.folder / f"cache-{self.number}")
        self.proxy.requests.clear()
        self.proxy.faults[:] = faults
        image = self.chain.image
        reference = f"{self.proxy.address}/{self.chain.namespace}/{image}:hpcbake-staging-{image}"
        done = self.chain.run("deliver", "--json", "--site", "alder", f"{image}={reference}", timeout_s=240)
        self.proxy.faults.clear()
        report = json.loads(done.stdout) if done.stdout else {"errors": [], "stderr": done.stderr}
        assert isinstance(report, dict)
        return {**report, "code": done.returncode, "stderr": done.stderr}

    def sifs(self) -> list[str]:
        """What lies under a SIF's name, and what is left of a pull."""
        return [name for name in self.chain.files("alder") if name.endswith(".sif") or "/incoming/" in name]

    def asked(self, word: str) -> int:
        return sum(word in request for request in self.proxy.requests)


@pytest.fixture(scope="module")
def stand(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    chain = make_chain(lab, tmp_path_factory.mktemp("registry-faults"))
    chain.run("build", check=True)
    with RegistryProxy(lab.registry) as proxy:
        # The build host's apptainer runs in the lab's engine, which need not see this machine's loopback.
        apptainer = chain.folder / "apptainer"
        apptainer.write_text(
            f'#!/bin/bash\nexec {lab.env["HPCBAKE_APPTAINER"]} "${{@//{proxy.address}/{lab.registry}}}"\n'
        )
        apptainer.chmod(0o755)
        chain.environment["HPCBAKE_APPTAINER"] = str(apptainer)
        # The login node reaches the proxy under the very name that it has here.
        tunnel = ["ssh", "-F", str(lab.state / "ssh_config"), "-o", "ExitOnForwardFailure=yes", "-N"]
        forward = subprocess.Popen([*tunnel, "-R", f"127.0.0.1:{proxy.port}:127.0.0.1:{proxy.port}", "alder"])
        try:
            answers = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{proxy.port}'"
            wait_until(lambda: lab.ssh("alder", answers).returncode == 0, "the tunnel is there", timeout_s=30)
            yield Stand(chain, proxy)
        finally:
            forward.terminate()
            forward.wait(30)
    lab.ssh("alder", f"rm -rf /scratch/{chain.namespace}*")


@pytest.mark.parametrize("agent", ["^hpcbake", SITES_OWN], ids=["ours", "the-site-s"])
@pytest.mark.parametrize(
    ("way", "act"), [("docker", "cut"), ("docker", "reset"), ("docker", "status"), ("oras", "cut")]
)
def test_one_fault_that_passes_costs_a_second_try(way: str, act: Any, agent: str, stand: Stand) -> None:
    """A blob that is cut, reset or answered with 503 once: delivered all the same, and verified."""
    fault = Fault(act, BLOB, times=1, code=503, agent=agent)
    report = stand.deliver(way, fault)
    assert fault.hits
    assert report["code"] == 0, report["stderr"]
    assert len(stand.sifs()) == 1


@pytest.mark.parametrize(
    ("fault", "code", "kind"),
    [
        (Fault("status", BLOB, code=500), 22, "registry.un"),
        (Fault("status", BLOB, code=429, headers={"Retry-After": "1"}), 22, "registry.rate-limit"),
        (Fault("status", BLOB, code=403), 21, "registry."),
        (Fault("flip", BLOB), 43, "registry.digest-mismatch"),
        (Fault("reset", BLOB), 22, "registry."),
    ],
    ids=lambda value: value.act if isinstance(value, Fault) else None,
)
def test_what_does_not_pass_is_told_by_its_class(fault: Fault, code: int, kind: str, stand: Stand) -> None:
    """The check meets it first: the exit code says who must act, nothing is at the site, the remedy is one line."""
    fault.hits = 0
    report = stand.deliver("docker", fault)
    assert report["code"] == code, report["stderr"]
    (error,) = report["errors"]
    assert error["kind"].startswith(kind), error
    assert stand.sifs() == []


@pytest.mark.parametrize(
    ("act", "status", "code", "kinds"),
    [
        ("status", 500, 22, {"registry.unreachable"}),
        ("status", 401, 21, {"registry.auth"}),
        ("flip", 0, 43, {"image.integrity"}),
        ("cut", 0, 22, {"registry.unreachable"}),
        ("hang", 0, 22, {"registry.timeout"}),
    ],
)
def test_a_site_s_pull_that_cannot_succeed(act: Any, status: int, code: int, kinds: set[str], stand: Stand) -> None:
    """The site's own pull fails for good: no SIF has the name, nothing is left, the class is the registry's."""
    before = time.monotonic()
    report = stand.deliver("docker", Fault(act, BLOB, code=status, agent=SITES_OWN), pull_timeout="20s")
    assert report["code"] == code, report["sites"]
    assert {error["kind"] for error in report["errors"]} <= kinds, report["errors"]
    assert stand.sifs() == []
    assert time.monotonic() - before < 150


def test_a_refused_login_is_tried_once(stand: Stand) -> None:
    """401 without anything to answer it: one question, 21, and which credentials were used, without their value."""
    report = stand.deliver("docker", Fault("status", r"/manifests/", code=401), Fault("status", "/v2/$", code=401))
    assert report["code"] == 21
    said = report["stderr"] + json.dumps(report["errors"])
    assert "login" in said
    assert stand.asked("/manifests/") <= 2


def test_a_push_that_was_acknowledged_and_not_kept(stand: Stand) -> None:
    """The artefact's manifest is answered 201 and thrown away: 21 from reading back, and no site is told to pull it."""
    swallow = Fault("swallow", r"/manifests/sha256-.*\.sif$", method="PUT")
    report = stand.deliver("oras", swallow)
    assert report["code"] == 21, report["stderr"]
    assert report["errors"][0]["kind"] == "registry.unconfirmed"
    assert swallow.hits
    assert stand.sifs() == []


def test_a_blob_that_was_acknowledged_and_not_kept(stand: Stand) -> None:
    """The SIF's upload is answered 201 and thrown away: found before the manifest is written."""
    report = stand.deliver("oras", Fault("swallow", r"/blobs/uploads/", method="PUT"))
    assert report["code"] == 21, report["stderr"]
    assert report["errors"][0]["kind"] == "registry.unconfirmed"
    written = [request for request in stand.proxy.requests if request.startswith("PUT ")]
    assert written and not [request for request in written if ".sif" in request]
    assert stand.sifs() == []
