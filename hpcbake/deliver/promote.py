"""Makes a smoke-tested SIF the current one of its image at one site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpcbake.deliver.modulefile import render_module
from hpcbake.deliver.provenance import render_provenance
from hpcbake.errors import SmokeFailedError, SmokeUnknownError
from hpcbake.model.artefacts import Deployment, Promotion, SmokeResult, SmokeStatus
from hpcbake.model.ports import Node, RuntimeCommands
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.sites.scripts import read_answer, render_site_script

_PROMOTE_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class PromoteRequest:
    """One delivered SIF with the word of its smoke tests.

    `expected_current` is the text of the `current` link when the run began: if it has moved since, another run was
    faster and nothing is changed.
    """

    deployment: Deployment
    smoke: Sequence[SmokeResult]
    expected_current: str
    run: str
    created: str
    tool_version: str
    check: CompatReport | None = None
    expose: Sequence[str] = ()
    lock_wait_s: int = 60


def promote(request: PromoteRequest, site: Site, *, node: Node, commands: RuntimeCommands) -> Promotion:
    """Move tag link, modulefile and `current` to this release, `current` last, each by one rename.

    Raises SmokeFailedError or SmokeUnknownError when not every smoke test has passed, IntegrityError when the SIF is
    no longer what was verified, BusyError when another run moved `current`, SiteResourceError when a name cannot be
    moved. Whatever is raised, `current` is the old release or this one.
    """
    _require_passed(request)
    outcome = node.run_script(render_promote_script(request, site, commands), timeout_s=_PROMOTE_TIMEOUT_S)
    image = request.deployment.image
    answer = read_answer(outcome, site=site.name, step=f"promote {image.name}", needs=("was", "current"))
    before, after = answer.find("was"), answer.find("current")
    return Promotion(site.name, image.name, image.digest, before, after, changed=before != after)


def render_promote_script(request: PromoteRequest, site: Site, commands: RuntimeCommands) -> str:
    """The whole script for one promotion. Pure: golden files hold it."""
    deployment, image = request.deployment, request.deployment.image
    module = render_module(deployment, site, commands, request.expose)
    provenance = render_provenance(
        image,
        run=request.run,
        created=request.created,
        tool_version=request.tool_version,
        check=request.check,
        smoke=request.smoke,
        facts={"sif_sha256": deployment.sif_sha256, "size_bytes": deployment.size_bytes},
    )
    return render_site_script(
        "promote",
        root=site.store.root,
        run=request.run,
        lock_wait=request.lock_wait_s,
        image=image.name,
        hex=image.digest.hex,
        tag=image.version,
        expected_current=request.expected_current,
        sif_sha256=deployment.sif_sha256,
        provenance=provenance,
        module_lua=module.lua,
        module_tcl=module.tcl,
        wrappers=module.wrappers,
    )


def _require_passed(request: PromoteRequest) -> None:
    image, site = request.deployment.image, request.deployment.site
    for result in request.smoke:
        if result.status is SmokeStatus.FAILED:
            raise SmokeFailedError(
                f"{site}: {image.name} is not promoted: smoke test {result.test} failed: {result.reason}",
                remedy="mend the image; to run the test of the same image once more: --retry-failed",
            )
        if result.status is SmokeStatus.UNKNOWN:
            raise SmokeUnknownError(
                f"{site}: {image.name} is not promoted: unknown end of smoke test {result.test}: {result.reason}",
                remedy="run the same command again",
            )
    if not any(result.status is SmokeStatus.PASSED for result in request.smoke):
        raise SmokeUnknownError(
            f"{site}: {image.name} is not promoted: no smoke test has passed",
            remedy="give the image at least one smoke test that runs on this site",
        )
