"""What a whole site holds: every image, its releases and links, and whether ledger and files tell the same story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from hpcbake.deliver.ledger import Ledger, parse_ledger, promised, unfinished
from hpcbake.deliver.provenance import parse_provenance
from hpcbake.deliver.survey import digest_of_link, parse_hold
from hpcbake.errors import ExitCode
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script, store_values

_LOOK_S = 120.0
_VERIFY_S = 3600.0


@dataclass(frozen=True)
class StoredRelease:
    """One SIF of an image. `state` is present, verified, changed or absent; `set_aside` is where a changed one went."""

    digest: str
    state: str
    is_current: bool
    tags: tuple[str, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    set_aside: str = ""
    is_pinned: bool = False


@dataclass(frozen=True)
class StoredImage:
    """One image of the store; `current` is a digest, empty when nothing was promoted, or the odd text of the link.

    `hold` tells who held the image at its release, when and why; empty where nobody did.
    """

    name: str
    current: str
    releases: tuple[StoredRelease, ...]
    hold: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreLook:
    """A store as it was read in one round trip."""

    images: tuple[StoredImage, ...]
    ledger: Ledger

    def find(self, image: str) -> StoredImage | None:
        return next((item for item in self.images if item.name == image), None)


@dataclass(frozen=True)
class SiteStatus:
    """A site as it was seen. `problems` are what does not fit together, in words; `code` what they add up to."""

    site: str
    images: tuple[StoredImage, ...]
    problems: tuple[str, ...]
    code: ExitCode


def look_at_store(site: Site, *, node: Node, verify: bool = False) -> StoreLook:
    """Read everything that the store says of itself.

    With `verify` every SIF is read; one whose bytes are wrong is set aside if no link names it. Nothing else changes.
    """
    script = render_site_script(
        "status", **store_values(site.store), run="status", lock_wait=0, verify="yes" if verify else "no"
    )
    outcome = node.run_script(script, timeout_s=_VERIFY_S if verify else _LOOK_S)
    answer = read_answer(outcome, site=site.name, step="look at the store", needs=("root",))
    return StoreLook(tuple(_stored_image(block) for block in answer.blocks("image")), read_ledger(answer))


def read_ledger(answer: Answer) -> Ledger:
    """The ledger of an answer that holds it, and what either side found wrong with it."""
    ledger = parse_ledger(answer.find_text("ledger"), first=int(answer.find("ledger_first") or 1))
    return Ledger(ledger.entries, answer.find("ledger_broken") or ledger.broken)


def site_status(site: Site, *, node: Node, verify: bool = False) -> SiteStatus:
    """Look at everything in the store; with `verify`, read every SIF and compare its sha256."""
    look = look_at_store(site, node=node, verify=verify)
    corrupt = [_corruption(image, release) for image in look.images for release in image.releases if _is_bad(release)]
    if look.ledger.broken:
        return SiteStatus(site.name, look.images, (look.ledger.broken, *corrupt), ExitCode.STATE)
    drift = _drift(look)
    code = ExitCode.INTEGRITY if corrupt else ExitCode.PARTIAL if drift else ExitCode.OK
    return SiteStatus(site.name, look.images, (*corrupt, *drift), code)


def _is_bad(release: StoredRelease) -> bool:
    return release.state == "changed"


def _corruption(image: StoredImage, release: StoredRelease) -> str:
    found = f"{image.name}: the SIF of {release.digest} is not what was verified"
    if release.set_aside:
        return f"{found}; set aside as {release.set_aside}"
    if release.is_current or release.tags:
        names = [*(["current"] if release.is_current else []), *release.tags]
        return f"{found}; users reach it by {', '.join(names)}, so it stays until `hpcbake ship` replaces it"
    return found


def _stored_image(block: Answer) -> StoredImage:
    links = [line.partition(" ") for line in block.all("tag")]
    link = block.find("current")
    current = digest_of_link(link) or link
    return StoredImage(
        name=block.find("image"),
        current=current,
        releases=tuple(_stored_release(piece, current, links) for piece in block.blocks("release")),
        hold=parse_hold(block.find("hold")),
    )


def _stored_release(piece: Answer, current: str, links: Sequence[tuple[str, str, str]]) -> StoredRelease:
    digest = f"sha256:{piece.find('release')}"
    return StoredRelease(
        digest=digest,
        state=piece.find("state"),
        is_current=digest == current,
        tags=tuple(tag for tag, _, target in links if digest_of_link(target) == digest),
        provenance=parse_provenance(piece.find_text("provenance")),
        set_aside=piece.find("set_aside"),
        is_pinned=bool(piece.find("pinned")),
    )


def _drift(look: StoreLook) -> list[str]:
    wanted = promised(look.ledger.entries)
    began = unfinished(look.ledger.entries)
    held = {image.name: image.current for image in look.images}
    drift = [
        f"{name}: current is {held.get(name) or 'absent'}, the ledger says {digest}"
        for name, digest in wanted.items()
        if held.get(name) != digest and not (began and (began.image, began.digest) == (name, held.get(name)))
    ]
    dangling = [
        f"{image.name}: current names {image.current}, which is not in the store"
        for image in look.images
        if image.current and not any(release.is_current for release in image.releases)
    ]
    return drift + dangling
