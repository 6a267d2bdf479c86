"""Releases on a stand: delivered, vouched for and promoted as the chain does it."""

from __future__ import annotations

import json
from typing import Any

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.deliver import DeliverRequest, deliver
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.deliver.status import StoreLook, look_at_store
from hpcbake.model.artefacts import Deployment, Promotion, SmokeResult, SmokeStatus
from hpcbake.model.reference import Digest
from tests.site_stand import DIGEST, SiteStand, built_image, sif_bytes

COMMANDS = SpythonCommands()
PASSED = SmokeResult("here", "app", "cpu", "0123456789abcdef", SmokeStatus.PASSED, job_id="101", node="n1")
A, B, C, D = (Digest.of(letter.encode()) for letter in "abcd")


def bring(stand: SiteStand, digest: Digest = DIGEST, version: str = "1.0") -> Deployment:
    """A delivered SIF of this digest, with the result file of a smoke job that ran it."""
    stand.serve_sif(sif_bytes(digest))
    request = DeliverRequest(built_image(digest=digest, version=version), "01RUN", "2026-01-31T12:00:00Z", "0")
    done = deliver(request, stand.site, node=stand.node, commands=COMMANDS)
    vouch(stand, done)
    return done


def vouch(stand: SiteStand, deployment: Deployment) -> None:
    """The result file of a smoke job that ran this very SIF."""
    attempt = stand.root / f".hpcbake/jobs/app/{deployment.image.digest.hex}/{PASSED.test}-{PASSED.key}/attempt-1"
    attempt.mkdir(parents=True, exist_ok=True)
    result = f'"why": "ok", "sif_sha256": "{deployment.sif_sha256}", "ended": 1769860800'
    (attempt / "result.json").write_text("{" + result + "}")


def make_current(
    stand: SiteStand, deployment: Deployment, *, run: str = "01RUN", expose: tuple[str, ...] = ()
) -> Promotion:
    """Promote it, whatever is current now."""
    created = "2026-01-31T12:00:00Z"
    request = PromoteRequest(
        deployment, [PASSED], link(stand), run, created, "0", expose=expose, lock_wait_s=0, by="me@pc"
    )
    return promote(request, stand.site, node=stand.node, commands=COMMANDS)


def give(stand: SiteStand, digest: Digest, version: str = "1.0", *, expose: tuple[str, ...] = ()) -> Deployment:
    """Deliver and promote."""
    deployment = bring(stand, digest, version)
    make_current(stand, deployment, expose=expose)
    return deployment


def look(stand: SiteStand) -> StoreLook:
    return look_at_store(stand.site, node=stand.node)


def link(stand: SiteStand, name: str = "current") -> str:
    path = stand.root / "app" / name
    return str(path.readlink()) if path.is_symlink() else ""


def ledger(stand: SiteStand) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (stand.root / ".hpcbake/ledger.jsonl").read_text().splitlines()]
