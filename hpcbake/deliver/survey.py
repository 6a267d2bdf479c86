"""What is on a site, in one round trip: for each wanted image its SIF, its links, its provenance."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import field
from typing import Any

from hpcbake.deliver.provenance import parse_provenance
from hpcbake.model.artefacts import BuiltImage, Deployment
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.reference import Digest
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script

_SURVEY_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Wanted:
    """One image to look for: its name in the store, its digest, its version tag."""

    image: str
    digest: Digest
    tag: str


@dataclass(frozen=True)
class Found:
    """What the site holds of one wanted image.

    `sif` is present, absent or changed. `current` and `tag` are the links' texts, empty where there is none.
    """

    wanted: Wanted
    sif: str
    current: str
    tag: str
    current_sha256: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    #: The provenance of what `current` names.
    promoted: dict[str, Any] = field(default_factory=dict)
    #: Who holds the image at its release, since when; empty where nobody does.
    hold: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return link_target(self.wanted.image, self.wanted.digest)

    @property
    def current_digest(self) -> str:
        """The digest that `current` names, or an empty text."""
        return digest_of_link(self.current)

    @property
    def is_current(self) -> bool:
        return self.sif == "present" and self.current == self.target and self.tag == self.target

    def deployment(self, image: BuiltImage, site: Site) -> Deployment:
        """The SIF as its provenance tells of it. It is there only where `is_delivered`."""
        known = self.provenance
        return Deployment(
            site=site.name,
            image=image,
            path=f"{site.store.root}/sif/{self.wanted.image}/{self.wanted.digest.hex}.sif",
            sif_sha256=str(known.get("sif_sha256", "")),
            size_bytes=int(known.get("size_bytes", 0)),
            changed=False,
            way=str(known.get("way", "")),
            content=str(known.get("content", "")),
        )

    @property
    def is_delivered(self) -> bool:
        """The verified SIF is there, and what is known of it can be read."""
        return self.sif == "present" and bool(self.provenance)

    def passed_tests(self) -> dict[str, dict[str, Any]]:
        """Smoke tests that this very SIF has passed before, by key."""
        entries = self.provenance.get("smoke", [])
        return {
            str(entry["key"]): entry
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and entry.get("status") == "passed" and "key" in entry
        }


def digest_of_link(target: str) -> str:
    """The digest that a link of ours names, or an empty text for a link of anybody else's."""
    match = re.fullmatch(r"(?:.*/)?([0-9a-f]{64})\.sif", target)
    return f"sha256:{match[1]}" if match else ""


def link_target(image: str, digest: Digest) -> str:
    """What `current` and tag links hold: relative, so that the store can move as a whole."""
    return f"../sif/{image}/{digest.hex}.sif"


@dataclass(frozen=True)
class Survey:
    """All wanted images of one site. `clock_s` is the site's own time, seconds since 1970.

    `left` counts unfinished pulls and leases: those of a live run, or what a dead one has left.
    """

    found: tuple[Found, ...]
    clock_s: float
    host: str
    left: int = 0


def survey(wanted: Sequence[Wanted], site: Site, *, node: Node) -> Survey:
    """Look at the site; change nothing. Raises SiteUnreachableError or SiteTrustError."""
    script = render_site_script(
        "survey",
        root=site.store.root,
        run="survey",
        lock_wait=0,
        wanted="\n".join(f"{item.image} {item.digest.hex} {item.tag}" for item in wanted),
    )
    outcome = node.run_script(script, timeout_s=_SURVEY_TIMEOUT_S)
    answer = read_answer(outcome, site=site.name, step="look at the store", needs=("image", "clock", "host"))
    blocks = list(answer.blocks("image"))
    return Survey(
        tuple(_found(item, block) for item, block in zip(wanted, blocks, strict=True)),
        float(answer.find("clock") or 0),
        answer.find("host"),
        int(answer.find("left") or 0),
    )


def sweep(site: Site, *, run: str, node: Node) -> int:
    """Remove what dead runs have left under `.hpcbake/`; live runs keep theirs. Returns how many things went."""
    script = render_site_script("sweep", root=site.store.root, run=run, tmpdir=site.runtime.tmpdir or "")
    answer = read_answer(node.run_script(script, timeout_s=_SURVEY_TIMEOUT_S), site=site.name, step="sweep the store")
    return int(answer.find("swept") or 0)


def _found(item: Wanted, block: Answer) -> Found:
    current, provenance = block.find("current"), parse_provenance("\n".join(block.all("provenance")))
    # What `current` names is told only where it is another one.
    is_current = current == link_target(item.image, item.digest)
    return Found(
        wanted=item,
        sif=block.find("sif"),
        current=current,
        tag=block.find("tag"),
        current_sha256=block.find("current_sha256"),
        provenance=provenance,
        promoted=provenance if is_current else parse_provenance("\n".join(block.all("promoted"))),
        hold=parse_hold(block.find("hold")),
    )


def parse_hold(text: str) -> dict[str, Any]:
    """What a hold says; one that cannot be read holds all the same."""
    if not text:
        return {}
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    return document if isinstance(document, dict) and document else {"why": "unreadable"}
