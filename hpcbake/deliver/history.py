"""What users of a site were given and when, as its ledger tells it."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.deliver.ledger import INTENTS, MOVES, LedgerEntry, unfinished
from hpcbake.deliver.status import StoredImage, StoreLook
from hpcbake.model.late import dataclass

#: Acts that a history shows; the lines before them only say that something was begun.
_SHOWN = (*MOVES, "released", "pinned", "unpinned", "removed", "abandoned")


@dataclass(frozen=True)
class HistoryEvent:
    """One line of the history. `is_current` marks the release that users have now, `is_stored` one that is there."""

    entry: LedgerEntry
    act: str
    is_current: bool
    is_stored: bool


@dataclass(frozen=True)
class SiteHistory:
    """The events of a site, oldest first, the images that are held, and what is wrong with the ledger."""

    site: str
    events: tuple[HistoryEvent, ...]
    held: tuple[StoredImage, ...]
    broken: str = ""


def site_history(site: str, look: StoreLook, image: str = "") -> SiteHistory:
    """The history of one image, or of all. Pure.

    An act that was begun and not noted as done counts as what `current` says: its run died, or is at it.
    """
    images = {item.name: item for item in look.images}
    entries = [entry for entry in look.ledger.entries if entry.image == image or not image]
    latest: dict[str, int] = {entry.image: entry.seq for entry in entries if _act(entry, look) in MOVES}
    events = []
    for entry in entries:
        act = _act(entry, look)
        if act in _SHOWN:
            events.append(_event(entry, act, images.get(entry.image), latest))
    held = tuple(item for item in look.images if item.hold and (item.name == image or not image))
    return SiteHistory(site, tuple(events), held, look.ledger.broken)


def _act(entry: LedgerEntry, look: StoreLook) -> str:
    if entry.act not in INTENTS or entry is not unfinished(look.ledger.entries):
        return entry.act
    stored = look.find(entry.image)
    return INTENTS[entry.act] if stored is not None and stored.current == entry.digest else "begun"


def _event(entry: LedgerEntry, act: str, stored: StoredImage | None, latest: dict[str, int]) -> HistoryEvent:
    releases: Sequence[str] = [release.digest for release in stored.releases] if stored else ()
    return HistoryEvent(
        entry=entry,
        act=act,
        is_current=bool(stored and stored.current == entry.digest and latest.get(entry.image) == entry.seq),
        is_stored=entry.digest in releases,
    )
