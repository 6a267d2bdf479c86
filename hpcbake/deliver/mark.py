"""Marks at a site: a pin keeps one release from being removed, a hold keeps an image at its release."""

from __future__ import annotations

from hpcbake.deliver.ledger import render_members
from hpcbake.deliver.status import StoreLook
from hpcbake.errors import StateError, UsageError
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import read_answer, render_site_script, store_values

_TIMEOUT_S = 60.0


def refuse_broken_ledger(site: Site, look: StoreLook) -> None:
    """Raises StateError: nothing is done on the word of a ledger that somebody changed."""
    if look.ledger.broken:
        raise StateError(
            f"{site.name}: {look.ledger.broken}",
            remedy="look who changed it; to begin a new one, move ledger.jsonl and ledger.head aside together",
            kind="state.ledger",
        )


def release_hold(
    site: Site, look: StoreLook, image: str, *, run: str, by: str, node: Node, lock_wait_s: int = 60
) -> bool:
    """Lift the hold on an image; False where there is none."""
    stored = look.find(image)
    if stored is None:
        raise UsageError(f"{site.name}: there is no image {image!r}", remedy="hpcbake status shows what there is")
    if not stored.hold:
        return False
    tag = _tag_of(look, image, stored.current)
    return _mark(site, "released", image, stored.current, tag, f"holds/{image}", "", run, by, node, lock_wait_s)


def pin(
    site: Site, look: StoreLook, image: str, digest: str, *, run: str, by: str, node: Node, lock_wait_s: int = 60
) -> bool:
    """Keep a release for ever; False where it is pinned already."""
    content = "{" + render_members(by=by, run=run) + "}"
    path = f"pins/{image}/{digest.removeprefix('sha256:')}"
    tag = _tag_of(look, image, digest)
    return _mark(site, "pinned", image, digest, tag, path, content, run, by, node, lock_wait_s)


def unpin(
    site: Site, look: StoreLook, image: str, digest: str, *, run: str, by: str, node: Node, lock_wait_s: int = 60
) -> bool:
    """Take a pin away; False where there is none."""
    path = f"pins/{image}/{digest.removeprefix('sha256:')}"
    tag = _tag_of(look, image, digest)
    return _mark(site, "unpinned", image, digest, tag, path, "", run, by, node, lock_wait_s)


def _tag_of(look: StoreLook, image: str, digest: str) -> str:
    stored = look.find(image)
    found = [release for release in (stored.releases if stored else ()) if release.digest == digest]
    return str(found[0].provenance.get("tag", "")) if found else ""


def _mark(
    site: Site,
    act: str,
    image: str,
    digest: str,
    tag: str,
    path: str,
    content: str,
    run: str,
    by: str,
    node: Node,
    lock_wait_s: int,
) -> bool:
    script = render_site_script(
        "mark",
        **store_values(site.store),
        run=run,
        lock_wait=lock_wait_s,
        act=act,
        image=image,
        hex=digest.removeprefix("sha256:"),
        tag=tag,
        path=path,
        content=content,
        facts=render_members(by=by),
    )
    outcome = node.run_script(script, timeout_s=_TIMEOUT_S + lock_wait_s)
    answer = read_answer(outcome, site=site.name, step=f"mark {image}", needs=("changed",))
    return answer.find("changed") == "yes"
