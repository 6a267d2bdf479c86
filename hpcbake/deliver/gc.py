"""Clears the store of a site: decides what may go, from what the site tells, and has only that removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from enum import Enum

from hpcbake.deliver.ledger import Ledger, releases_by_age, render_members, unfinished
from hpcbake.deliver.mark import refuse_broken_ledger
from hpcbake.deliver.status import StoreLook
from hpcbake.deliver.survey import digest_of_link
from hpcbake.errors import SiteResourceError
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script, store_values

_LOOK_S = 600.0
_REMOVE_S = 3600.0
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class ItemKind(Enum):
    """What lies in a store: a release, a SIF set aside as bad, the folder of old smoke jobs, what was left over."""

    RELEASE = "release"
    BAD = "bad"
    JOBS = "jobs"
    REST = "rest"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class StoreItem:
    """One thing in a store, as the site told it.

    `name` is a digest's hex for releases and job folders, else a file name. `live` says what uses it at this moment;
    `is_young` that it is younger than the limit of this clean-up.
    """

    kind: ItemKind
    image: str
    name: str
    size_bytes: int = 0
    age_days: int = 0
    is_young: bool = False
    is_current: bool = False
    live: str = ""
    promoted: str = ""
    tag: str = ""

    @property
    def digest(self) -> str:
        return f"sha256:{self.name}"


@dataclass(frozen=True)
class Inventory:
    """A store as gc sees it. `doubt` says why nobody can tell what is in use; then nothing is removed."""

    items: tuple[StoreItem, ...]
    ledger_sha256: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Decision:
    """What becomes of one thing, and why."""

    item: StoreItem
    removes: bool
    reason: str


@dataclass(frozen=True)
class GcResult:
    """What a clean-up did at one site, or for a dry run would do. `stuck` is what could not be removed."""

    site: str
    decisions: tuple[Decision, ...]
    doubt: str = ""
    stuck: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def freed_bytes(self) -> int:
        return sum(decision.item.size_bytes for decision in self.decisions if decision.removes)


def take_inventory(site: Site, *, node: Node, days: int) -> Inventory:
    """Look at everything that could be removed, and at all that speaks against it. Changes nothing."""
    answer = _run(site, node, mode="look", days=days, timeout_s=_LOOK_S)
    current = {block.find("image"): block.find("current") for block in answer.blocks("image")}
    items: list[StoreItem] = []
    image = ""
    pieces = _pieces(answer)
    for piece in pieces:
        word, value = piece.lines[0]
        if word == "image":
            image = value
        elif word in {kind.value for kind in ItemKind}:
            items.append(_item(ItemKind(word), image, value, piece, current))
    return Inventory(tuple(items), answer.find("ledger_sha256"), answer.find("doubt"))


def _pieces(answer: Answer) -> list[Answer]:
    """The answer cut before every line that begins a thing."""
    begins = {"image", *(kind.value for kind in ItemKind)}
    starts = [index for index, (word, _) in enumerate(answer.lines) if word in begins]
    ends = [*starts, len(answer.lines)][1:]  # as many as beginnings, also where a store is empty
    return [Answer(answer.lines[start:end]) for start, end in zip(starts, ends, strict=True)]


def _item(kind: ItemKind, image: str, value: str, piece: Answer, current: dict[str, str]) -> StoreItem:
    if kind is ItemKind.JOBS:
        image, _, value = value.partition(" ")
    promoted = piece.find("promoted")
    return StoreItem(
        kind=kind,
        image="" if kind is ItemKind.FOREIGN else image,
        name=value,
        size_bytes=int(piece.find("size") or 0),
        age_days=int(piece.find("age_days") or 0),
        is_young=piece.find("young") == "yes",
        is_current=kind is ItemKind.RELEASE and digest_of_link(current.get(image, "")) == f"sha256:{value}",
        live=piece.find("live"),
        promoted="" if promoted == "null" else promoted,
        tag=piece.find("tag"),
    )


def plan_gc(inventory: Inventory, ledger: Ledger, *, keep: int, days: int) -> tuple[Decision, ...]:
    """What may go, with a reason for everything. Pure.

    The last `keep` promoted releases of each image stay, whatever any clock says; what was never promoted and what
    was set aside stays for `days` days.
    """
    places = {image: _places(inventory, ledger, image) for image in {item.image for item in inventory.items}}
    began = unfinished(ledger.entries)
    decisions = []
    for item in inventory.items:
        if began is not None and item.kind is ItemKind.RELEASE and began.digest == item.digest:
            decisions.append(Decision(item, False, f"run {began.run} is {began.act} it, or died doing so"))
        else:
            decisions.append(_decide(item, places[item.image], keep, days))
    if inventory.doubt:
        return tuple(
            Decision(decision.item, False, f"in doubt: {inventory.doubt}") if decision.removes else decision
            for decision in decisions
        )
    return tuple(decisions)


def _places(inventory: Inventory, ledger: Ledger, image: str) -> dict[str, int]:
    """Digest → its place among the promoted releases that are in the store, newest first, counted from 1."""
    stored = [item for item in inventory.items if item.kind is ItemKind.RELEASE and item.image == image]
    known = releases_by_age(ledger.entries, image)
    # Promoted before the part of the ledger that was read: older than all of that.
    rest = sorted((item for item in stored if item.promoted and item.digest not in known), key=lambda i: i.promoted)
    order = [digest for digest in known if any(item.digest == digest for item in stored)]
    order += [item.digest for item in reversed(rest)]
    return {digest: place for place, digest in enumerate(order, start=1)}


def _decide(item: StoreItem, places: dict[str, int], keep: int, days: int) -> Decision:
    if item.kind is ItemKind.FOREIGN:
        return Decision(item, False, "not a name of hpcbake's")
    if item.kind is ItemKind.RELEASE:
        return _decide_release(item, places.get(item.digest, 0), keep, days)
    if not _NAME.fullmatch(item.name):
        return Decision(item, False, "not a name of hpcbake's")
    if item.live:
        return Decision(item, False, item.live)
    if item.is_young:
        return Decision(item, False, f"younger than {days} days")
    reason = {
        ItemKind.BAD: f"set aside as damaged {item.age_days} days ago",
        ItemKind.JOBS: f"smoke jobs of a SIF that is gone, older than {days} days",
        ItemKind.REST: "left over",
    }[item.kind]
    return Decision(item, True, reason)


def _decide_release(item: StoreItem, place: int, keep: int, days: int) -> Decision:
    if item.is_current:
        return Decision(item, False, "is current")
    if item.live:
        return Decision(item, False, item.live)
    if place:
        if place <= keep:
            return Decision(item, False, f"number {place} of the last {keep} promoted")
        return Decision(item, True, f"number {place} of the promoted, and {keep} are kept")
    if item.is_young:
        return Decision(item, False, f"not promoted, and younger than {days} days")
    return Decision(item, True, f"never promoted, delivered {item.age_days} days ago")


def collect(
    site: Site,
    look: StoreLook,
    *,
    node: Node,
    keep: int,
    days: int,
    run: str,
    by: str,
    lock_wait_s: int = 60,
    dry_run: bool = False,
) -> GcResult:
    """Remove what is not needed at one site. With `dry_run`, or in doubt, nothing is touched.

    Raises StateError for a ledger that was changed, BusyError when something is promoted meanwhile.
    """
    refuse_broken_ledger(site, look)
    inventory = take_inventory(site, node=node, days=days)
    decisions = plan_gc(inventory, look.ledger, keep=keep, days=days)
    victims = [decision.item for decision in decisions if decision.removes]
    if dry_run or inventory.doubt or not victims:
        return GcResult(site.name, decisions, inventory.doubt)
    answer = _run(
        site,
        node,
        mode="remove",
        days=days,
        timeout_s=_REMOVE_S,
        run=run,
        lock_wait_s=lock_wait_s,
        victims="\n".join(f"{item.kind.value} {item.image} {item.name}" for item in victims),
        expected_ledger=inventory.ledger_sha256,
        facts=render_members(by=by, why=f"not among the last {keep} promoted"),
    )
    return _result(site.name, decisions, answer)


def _result(site: str, decisions: Sequence[Decision], answer: Answer) -> GcResult:
    """What was decided, corrected by what was done: something may have come into use in between."""
    said = {word: {_subject(value): value for value in answer.all(word)} for word in ("removed", "kept", "stuck")}
    done = []
    for decision in decisions:
        subject = f"{decision.item.image} {decision.item.name}"
        if not decision.removes or subject in said["removed"]:
            done.append(decision)
        elif subject in said["kept"]:
            done.append(Decision(decision.item, False, said["kept"][subject].removeprefix(subject).strip()))
        else:
            done.append(Decision(decision.item, False, "it could not be removed"))
    return GcResult(site, tuple(done), "", tuple(said["stuck"].values()), answer.all("note"))


def _subject(value: str) -> str:
    return " ".join(value.split(" ")[:2])


def stuck_error(result: GcResult) -> SiteResourceError | None:
    """The failure that things which cannot be removed are."""
    if not result.stuck:
        return None
    return SiteResourceError(
        f"{result.site}: {len(result.stuck)} could not be removed: {result.stuck[0]}",
        remedy="look at owner and mode of that folder; the rest was removed",
        kind="site.permission",
    )


def _run(
    site: Site,
    node: Node,
    *,
    mode: str,
    days: int,
    timeout_s: float,
    run: str = "gc",
    lock_wait_s: int = 0,
    victims: str = "",
    expected_ledger: str = "",
    facts: str = "",
) -> Answer:
    script = render_site_script(
        "gc",
        **store_values(site.store),
        run=run,
        lock_wait=lock_wait_s,
        mode=mode,
        days=days,
        prelude=site.slurm.prelude,
        scheduler=site.slurm.scheduler,
        site_name=site.name,
        program=site.runtime.program,
        victims=victims,
        expected_ledger=expected_ledger,
        facts=facts,
    )
    outcome = node.run_script(script, timeout_s=timeout_s + lock_wait_s)
    return read_answer(outcome, site=site.name, step="clear the store")
