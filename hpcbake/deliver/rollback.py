"""Gives the users of an image at one site an earlier release again."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpcbake.deliver.ledger import MOVES, LedgerEntry, render_members, rollback_path
from hpcbake.deliver.mark import refuse_broken_ledger
from hpcbake.deliver.modulefile import is_command_name, render_module
from hpcbake.deliver.promote import read_back, read_switch
from hpcbake.deliver.status import StoredImage, StoredRelease, StoreLook
from hpcbake.deliver.survey import link_target
from hpcbake.errors import IntegrityError, SiteUnreachableError, SmokeUnknownError, UsageError
from hpcbake.model.artefacts import BuiltImage, Deployment, Promotion
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node, RuntimeCommands
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Site
from hpcbake.sites.scripts import render_site_script, store_values

_TIMEOUT_S = 600.0
_NUMBER = re.compile(r"#?[0-9]{1,9}")
_HEX = re.compile(r"(?:sha256:)?[0-9a-f]{7,64}")


@dataclass(frozen=True)
class RollbackRequest:
    """What to go back to. `to` is a digest or its beginning, a tag, or a line of the history; empty: one release back.

    With `hold` the image stays there until somebody promotes it by name or lifts the hold.
    """

    image: str
    run: str
    by: str
    created: str
    to: str = ""
    hold: bool = True
    lock_wait_s: int = 60


@dataclass(frozen=True)
class RollbackPlan:
    """The release that users will get, and the one that they have."""

    site: str
    image: str
    before: str
    release: StoredRelease
    deployment: Deployment


def plan_rollback(request: RollbackRequest, site: Site, look: StoreLook) -> RollbackPlan:
    """Decide what to go back to. Pure.

    Raises StateError for a ledger that was changed, UsageError where nothing fits, SmokeUnknownError for a release that
    has never passed its tests there, IntegrityError where provenance and ledger disagree.
    """
    refuse_broken_ledger(site, look)
    stored = look.find(request.image)
    if stored is None or not stored.current:
        raise UsageError(
            f"{site.name}: no release of {request.image!r} was ever promoted",
            remedy="hpcbake status shows what is there",
        )
    entries = [entry for entry in look.ledger.entries if entry.image == request.image]
    digest = _named(request.to, stored, entries, site) if request.to else _one_back(stored, entries, site)
    release = next((item for item in stored.releases if item.digest == digest), None)
    if release is None:
        kept = ", ".join(item.digest for item in stored.releases if item.provenance.get("promoted"))
        raise UsageError(
            f"{site.name}: {request.image} {digest} is no longer in the store",
            remedy=f"go back to one that is (--to): {kept or 'none'}",
        )
    if release.is_current:
        raise UsageError(f"{site.name}: {request.image} is at {digest} already", remedy="hpcbake history shows all")
    return RollbackPlan(site.name, request.image, stored.current, release, _deployment(site, stored, release, entries))


def _one_back(stored: StoredImage, entries: Sequence[LedgerEntry], site: Site) -> str:
    path = rollback_path(entries, stored.name)
    if stored.current in path:
        path = path[: path.index(stored.current)]
    if not path:
        raise UsageError(
            f"{site.name}: there is no release of {stored.name} before {stored.current}",
            remedy=f"hpcbake history {stored.name} shows all; name one with --to",
        )
    return path[-1]


def find_release(word: str, image: str, look: StoreLook, site: Site) -> str:
    """The digest of a release that is in the store, by digest, tag or line of the history. Raises UsageError."""
    stored = look.find(image)
    if stored is None:
        raise UsageError(f"{site.name}: there is no image {image!r}", remedy="hpcbake status shows what there is")
    linked = [item.digest for item in stored.releases if word in item.tags]
    entries = [entry for entry in look.ledger.entries if entry.image == image]
    digest = linked[0] if linked else _named(word, stored, entries, site)
    if all(item.digest != digest for item in stored.releases):
        raise UsageError(f"{site.name}: {image} {digest} is not in the store", remedy="hpcbake status shows what is")
    return digest


def _named(word: str, stored: StoredImage, entries: Sequence[LedgerEntry], site: Site) -> str:
    """The digest that a word means, which must be exactly one."""
    found: set[str] = set()
    if _HEX.fullmatch(word):
        start = word if word.startswith("sha256:") else f"sha256:{word}"
        found |= {digest for digest in _known(stored, entries) if digest.startswith(start)}
    if _NUMBER.fullmatch(word):
        number = int(word.removeprefix("#"))
        found |= {entry.digest for entry in entries if entry.seq == number and entry.act in MOVES}
    by_tag = {item.digest for item in stored.releases if word == item.provenance.get("tag") or word in item.tags}
    # A tag that moved names what it named before, too; the one that users have now is not what they go back to.
    found |= by_tag - {stored.current} if len(by_tag) > 1 else by_tag
    if len(found) == 1:
        return found.pop()
    listed = ", ".join(sorted(found))
    raise UsageError(
        f"{site.name}: {word!r} names {'several releases' if found else 'no release'} of {stored.name}"
        + (f": {listed}" if found else ""),
        remedy=f"give a digest, or #N for line N of hpcbake history {stored.name}",
    )


def _known(stored: StoredImage, entries: Sequence[LedgerEntry]) -> set[str]:
    return {item.digest for item in stored.releases} | {entry.digest for entry in entries if entry.act in MOVES}


def _deployment(site: Site, stored: StoredImage, release: StoredRelease, entries: Sequence[LedgerEntry]) -> Deployment:
    """The old release as an artefact, if its papers are in order."""
    papers = release.provenance
    name = f"{site.name}: {stored.name} {release.digest}"
    smoke = papers.get("smoke")
    statuses = [item.get("status") for item in smoke if isinstance(item, dict)] if isinstance(smoke, list) else []
    if not papers.get("promoted") or "passed" not in statuses or set(statuses) - {"passed", "skipped"}:
        raise SmokeUnknownError(
            f"{name} has never passed its smoke tests there",
            remedy="run them: hpcbake promote does, and makes it current after that",
            kind="slurm.untested",
        )
    sha256 = str(papers.get("sif_sha256", ""))
    noted = [entry.sif_sha256 for entry in entries if entry.digest == release.digest and entry.sif_sha256]
    reference = str(papers.get("reference", ""))
    tag = str(papers.get("tag", ""))
    if papers.get("digest") != release.digest or (noted and noted[-1] != sha256) or not reference or not tag:
        raise IntegrityError(
            f"{name}: its provenance file is not the one that was written when it was promoted",
            remedy="deliver and promote that image again: hpcbake promote",
            kind="state.provenance",
        )
    digest = Digest(release.digest)
    pinned = parse_image_reference(reference)
    size = papers.get("size_bytes")
    return Deployment(
        site=site.name,
        image=BuiltImage(stored.name, tag, pinned, digest, 0),
        path=f"{site.store.root}/sif/{stored.name}/{digest.hex}.sif",
        sif_sha256=sha256,
        size_bytes=size if isinstance(size, int) else 0,
        changed=False,
    )


def rollback(
    plan: RollbackPlan, request: RollbackRequest, site: Site, *, node: Node, commands: RuntimeCommands
) -> Promotion:
    """Read every byte of the old SIF, then move modulefile, tag link and `current` to it, each by one rename.

    Raises IntegrityError when the old SIF is no longer what was tested (it is set aside), BusyError when somebody
    moved `current` meanwhile, StateError, SiteResourceError. Whatever is raised, `current` is the one or the other.
    """
    image = plan.deployment.image
    script = render_rollback_script(plan, request, site, commands)
    try:
        outcome = node.run_script(script, timeout_s=_TIMEOUT_S + request.lock_wait_s)
    except SiteUnreachableError as lost:
        return read_back(lost, site, image.name, image.digest, request.run, node=node)
    return read_switch(outcome, f"roll back {image.name}", site, image.name, image.digest, request.run, node=node)


def render_rollback_script(plan: RollbackPlan, request: RollbackRequest, site: Site, commands: RuntimeCommands) -> str:
    """The whole script for one rollback. Pure."""
    image = plan.deployment.image
    papers = plan.release.provenance
    exposed = [name for name in str(papers.get("expose") or "").split() if is_command_name(name)]
    module = render_module(plan.deployment, site, commands, exposed)
    smoke = [
        {"test": str(item.get("test", "")), "job": str(item.get("job_id", "")), "node": str(item.get("node", ""))}
        for item in papers.get("smoke", ())
    ]
    hold = {"digest": str(image.digest), "instead_of": plan.before, "by": request.by, "since": request.created}
    before = Digest(plan.before) if plan.before.startswith("sha256:") else None
    return render_site_script(
        "rollback",
        **store_values(site.store),
        run=request.run,
        lock_wait=request.lock_wait_s,
        image=image.name,
        hex=image.digest.hex,
        tag=image.version,
        expected_current=link_target(image.name, before) if before else plan.before,
        sif_sha256=plan.deployment.sif_sha256,
        facts=render_members(by=request.by, sif_sha256=plan.deployment.sif_sha256, smoke=smoke, hold=request.hold),
        site_name=site.name,
        program=site.runtime.program,
        module_lua=module.lua,
        module_tcl=module.tcl,
        wanted_hold="yes" if request.hold else "no",
        hold_text="{" + render_members(**hold, run=request.run) + "}",
    )
