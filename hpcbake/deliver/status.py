"""What a whole site holds: every image, its releases and links, and whether ledger and files tell the same story."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hpcbake.deliver.provenance import parse_provenance
from hpcbake.deliver.survey import digest_of_link
from hpcbake.errors import ExitCode
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script

_LOOK_S = 120.0
_VERIFY_S = 3600.0


@dataclass(frozen=True)
class StoredRelease:
    """One SIF of an image. `state` is present, verified, changed or absent."""

    digest: str
    state: str
    is_current: bool
    tags: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredImage:
    """One image of the store; `current` is a digest, empty when nothing was promoted, or the odd text of the link."""

    name: str
    current: str
    releases: tuple[StoredRelease, ...]


@dataclass(frozen=True)
class SiteStatus:
    """A site as it was seen. `problems` are what does not fit together, in words; `code` what they add up to."""

    site: str
    images: tuple[StoredImage, ...]
    problems: tuple[str, ...]
    code: ExitCode


def site_status(site: Site, *, node: Node, verify: bool = False) -> SiteStatus:
    """Look at everything in the store; with `verify`, read every SIF and compare its sha256. Changes nothing."""
    script = render_site_script(
        "status", root=site.store.root, run="status", lock_wait=0, verify="yes" if verify else "no"
    )
    outcome = node.run_script(script, timeout_s=_VERIFY_S if verify else _LOOK_S)
    answer = read_answer(outcome, site=site.name, step="look at the store")
    images = tuple(_stored_image(block) for block in answer.blocks("image"))
    ledger = answer.find_text("ledger")
    corrupt = [
        f"{image.name}: the SIF of {release.digest} is not what was verified"
        for image in images
        for release in image.releases
        if release.state == "changed"
    ]
    broken = find_broken_link(ledger)
    drift = _drift(images, ledger) if not broken else []
    if broken:
        return SiteStatus(site.name, images, (broken, *corrupt), ExitCode.STATE)
    code = ExitCode.INTEGRITY if corrupt else ExitCode.PARTIAL if drift else ExitCode.OK
    return SiteStatus(site.name, images, (*corrupt, *drift), code)


def _stored_image(block: Answer) -> StoredImage:
    links = [line.partition(" ") for line in block.all("tag")]
    link = block.find("current")
    current = digest_of_link(link) or link
    return StoredImage(
        name=block.find("image"),
        current=current,
        releases=tuple(_stored_release(piece, current, links) for piece in block.blocks("release")),
    )


def _stored_release(piece: Answer, current: str, links: Sequence[tuple[str, str, str]]) -> StoredRelease:
    digest = f"sha256:{piece.find('release')}"
    return StoredRelease(
        digest=digest,
        state=piece.find("state"),
        is_current=digest == current,
        tags=tuple(tag for tag, _, target in links if digest_of_link(target) == digest),
        provenance=parse_provenance(piece.find_text("provenance")),
    )


def _ledger_entries(text: str) -> list[tuple[str, dict[str, Any]]]:
    entries: list[tuple[str, dict[str, Any]]] = []
    for line in text.removesuffix("\n").split("\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {}
        entries.append((line, entry if isinstance(entry, dict) else {}))
    return entries


def find_broken_link(text: str) -> str:
    """Where the ledger's chain of hashes breaks, in words; empty when it holds.

    Each line names the hash of the one before. Only the part that was sent is looked at, so the first
    line's own predecessor is taken on trust. A line that a power cut tore names nothing; the line after it
    vouches for its bytes.
    """
    previous = ""
    for number, (line, entry) in enumerate(_ledger_entries(text), start=1):
        if previous and entry and entry.get("prev") != previous:
            return f"ledger line {number}: expected the hash {previous[:12]}…, found {str(entry.get('prev'))[:12]}…"
        previous = hashlib.sha256(line.encode() + b"\n").hexdigest()
    return ""


def _drift(images: Sequence[StoredImage], ledger: str) -> list[str]:
    promised: dict[str, str] = {}
    for _, entry in _ledger_entries(ledger):
        if entry.get("act") == "promoted":
            promised[str(entry.get("image"))] = str(entry.get("digest"))
    held = {image.name: image.current for image in images}
    drift = [
        f"{name}: current is {held.get(name) or 'absent'}, the ledger says {digest}"
        for name, digest in promised.items()
        if held.get(name) != digest
    ]
    dangling = [
        f"{image.name}: current names {image.current}, which is not in the store"
        for image in images
        if image.current and not any(release.is_current for release in image.releases)
    ]
    return drift + dangling
