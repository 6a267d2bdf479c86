"""Makes a smoke-tested SIF the current one of its image at one site."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.deliver.ledger import render_facts
from hpcbake.deliver.modulefile import render_module
from hpcbake.deliver.provenance import render_provenance
from hpcbake.deliver.survey import link_target
from hpcbake.errors import (
    HpcbakeError,
    SiteResourceError,
    SiteUnreachableError,
    SmokeFailedError,
    SmokeUnknownError,
)
from hpcbake.model.artefacts import Deployment, Promotion, SmokeResult, SmokeStatus
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node, Outcome, RuntimeCommands
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport
from hpcbake.sites.scripts import read_answer, render_site_script, store_values

_PROMOTE_TIMEOUT_S = 600.0
#: How long a promotion whose answer was lost is waited for.
_READ_BACK_S = 30


@dataclass(frozen=True)
class PromoteRequest:
    """One delivered SIF with the word of its smoke tests.

    `expected_current` is the text of the `current` link when the run began: if it has moved since, another run was
    faster and nothing is changed. `by` is who asked, `revision` the source commit. An image that is held at the site
    is promoted only with `release_hold`.
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
    by: str = ""
    revision: str = ""
    release_hold: bool = False


def promote(request: PromoteRequest, site: Site, *, node: Node, commands: RuntimeCommands) -> Promotion:
    """Move tag link, modulefile and `current` to this release, `current` last, each by one rename.

    Raises SmokeFailedError or SmokeUnknownError when not every smoke test has passed on this very SIF, IntegrityError
    when the SIF is no longer what was verified, BusyError when another run moved `current` or the image is held,
    StateError when the ledger was changed, SiteResourceError when a name cannot be moved. Whatever is raised,
    `current` is the old release or this one. When the answer is lost, what really is there decides.
    """
    _require_passed(request)
    image = request.deployment.image
    try:
        outcome = node.run_script(render_promote_script(request, site, commands), timeout_s=_PROMOTE_TIMEOUT_S)
    except SiteUnreachableError as lost:
        return read_back(lost, site, image.name, image.digest, request.run, node=node)
    return read_switch(outcome, f"promote {image.name}", site, image.name, image.digest, request.run, node=node)


def read_switch(
    outcome: Outcome, step: str, site: Site, image: str, digest: Digest, run: str, *, node: Node
) -> Promotion:
    """What the script of a switch said; if somebody killed it, what is there."""
    try:
        answer = read_answer(outcome, site=site.name, step=step, needs=("was", "current"))
    except SiteResourceError as killed:
        if killed.kind != "site.killed":
            raise
        return read_back(killed, site, image, digest, run, node=node)
    before, after = answer.find("was"), answer.find("current")
    return Promotion(site.name, image, digest, before, after, before != after, answer.all("note"))


def read_back(lost: HpcbakeError, site: Site, image: str, digest: Digest, run: str, *, node: Node) -> Promotion:
    """What became of a switch to `digest` whose answer was lost: asked through a new connection.

    Raises `lost` when the site does not answer now either, or when `current` is not the wanted release.
    """
    script = render_site_script("outcome", root=site.store.root, run=run, lock_wait=_READ_BACK_S, image=image)
    try:
        outcome = node.run_script(script, timeout_s=_READ_BACK_S + 60.0)
    except SiteUnreachableError:
        raise lost from None
    answer = read_answer(outcome, site=site.name, step=f"look what became of {image}", needs=("current",))
    after = answer.find("current")
    if after != link_target(image, digest):
        raise lost
    before = answer.find("was") if answer.find("act") else after
    note = "the answer was lost; current was read back"
    return Promotion(site.name, image, digest, before, after, before != after, (note,))


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
        facts={
            "sif_sha256": deployment.sif_sha256,
            "size_bytes": deployment.size_bytes,
            "way": deployment.way,
            "content": deployment.content,
        },
        revision=request.revision,
        expose=request.expose,
    )
    passed = [result for result in request.smoke if result.status is SmokeStatus.PASSED]
    return render_site_script(
        "promote",
        **store_values(site.store),
        run=request.run,
        lock_wait=request.lock_wait_s,
        image=image.name,
        hex=image.digest.hex,
        tag=image.version,
        expected_current=request.expected_current,
        sif_sha256=deployment.sif_sha256,
        tests="\n".join(f"{result.test} {result.key}" for result in passed),
        release_hold="yes" if request.release_hold else "no",
        facts=render_facts(request.by, deployment.sif_sha256, request.smoke),
        site_name=site.name,
        program=site.runtime.program,
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
                f"{site}: {image.name} is not promoted: smoke test {result.test!r} failed: {result.reason}",
                remedy="mend the image; to run the test of the same image once more: --retry-failed",
            )
        if result.status is SmokeStatus.UNKNOWN:
            raise SmokeUnknownError(
                f"{site}: {image.name} is not promoted: unknown end of smoke test {result.test!r}: {result.reason}",
                remedy="run the same command again",
            )
    if not any(result.status is SmokeStatus.PASSED for result in request.smoke):
        raise SmokeUnknownError(
            f"{site}: {image.name} is not promoted: no smoke test has passed",
            remedy="give the image at least one smoke test that runs on this site",
        )
