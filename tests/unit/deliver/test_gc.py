"""What may be removed: never what is current, pinned, in use, promoted lately or in doubt; always with a reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.deliver.gc import Decision, Inventory, ItemKind, StoreItem, plan_gc
from hpcbake.deliver.ledger import Ledger, LedgerEntry

IMAGES = ("app", "other")


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def release(number: int, image: str = "app", **facts: object) -> StoreItem:
    return replace(StoreItem(ItemKind.RELEASE, image, f"{number:064x}", size_bytes=10), **facts)  # type: ignore[arg-type]


def promoted(*numbers: int, image: str = "app", act: str = "promoted") -> list[LedgerEntry]:
    return [LedgerEntry(n, act, image, digest(n), "1.0", "", "01RUN", 0) for n in numbers]


def removed(decisions: tuple[Decision, ...]) -> list[str]:
    return [decision.item.name.lstrip("0") for decision in decisions if decision.removes]


def test_the_last_promoted_stay() -> None:
    """Order is the ledger's; the current one counts among them."""
    items = (*(release(n) for n in (1, 2, 3)), release(4, is_current=True))
    ledger = Ledger(tuple(promoted(1, 2, 3, 4)))
    assert removed(plan_gc(Inventory(items), ledger, keep=2, days=0)) == ["1", "2"]
    assert removed(plan_gc(Inventory(items), ledger, keep=1, days=0)) == ["1", "2", "3"]


def test_a_release_that_came_back_is_young_again() -> None:
    """What was rolled back to was promoted last."""
    items = tuple(release(n, is_current=n == 1) for n in (1, 2, 3))
    ledger = Ledger((*promoted(1, 2, 3), *promoted(1, act="rolled-back")))
    assert removed(plan_gc(Inventory(items), ledger, keep=2, days=0)) == ["2"]


def test_what_is_gone_does_not_count() -> None:
    """Two are kept of those that are there."""
    items = tuple(release(n, is_current=n == 5) for n in (1, 2, 5))
    ledger = Ledger(tuple(promoted(1, 2, 3, 4, 5)))
    assert removed(plan_gc(Inventory(items), ledger, keep=2, days=0)) == ["1"]


def test_promoted_before_the_ledger_s_memory() -> None:
    """A long ledger is read from its end: a release that only its papers call promoted is older than all in it."""
    items = (release(1, promoted="2020"), release(2, promoted="2021"), release(3, is_current=True))
    ledger = Ledger(tuple(promoted(3)))
    assert removed(plan_gc(Inventory(items), ledger, keep=2, days=0)) == ["1"]


@pytest.mark.parametrize("act", ["promoting", "rolling-back"])
def test_what_is_being_promoted_stays(act: str) -> None:
    """A run that has noted what it is about to do may be at it."""
    items = (release(1), release(2, is_current=True))
    ledger = Ledger((*promoted(1, 2), *promoted(1, act=act)))
    assert removed(plan_gc(Inventory(items), ledger, keep=1, days=0)) == []


def test_never_promoted_waits_for_its_time() -> None:
    """Somebody may still be testing it."""
    young, old = release(1, is_young=True), release(2)
    assert removed(plan_gc(Inventory((young, old)), Ledger(), keep=1, days=30)) == ["2"]


@pytest.mark.parametrize("kind", [ItemKind.BAD, ItemKind.JOBS, ItemKind.REST])
def test_other_things_by_age_and_use(kind: ItemKind) -> None:
    """Evidence and logs go when they are old and nobody is at them."""
    item = StoreItem(kind, "app", "x")
    items = (item, replace(item, name="y", is_young=True), replace(item, name="z", live="a job"))
    assert removed(plan_gc(Inventory(items), Ledger(), keep=1, days=30)) == ["x"]


@pytest.mark.parametrize("name", ["../x", "a b", "x;y", "", "é"])
def test_strange_names_stay(name: str) -> None:
    """Only names of our own pattern are handed to the site for removal."""
    item = StoreItem(ItemKind.REST, "app", name)
    assert removed(plan_gc(Inventory((item,)), Ledger(), keep=1, days=0)) == []


_items = st.builds(
    StoreItem,
    kind=st.sampled_from(list(ItemKind)),
    image=st.sampled_from(IMAGES),
    name=st.integers(1, 6).map(lambda n: f"{n:064x}"),
    is_young=st.booleans(),
    is_current=st.booleans(),
    live=st.sampled_from(["", "a job names it"]),
    promoted=st.sampled_from(["", "2020", "2021"]),
)
_entries = st.builds(
    LedgerEntry,
    seq=st.integers(1, 99),
    act=st.sampled_from(["promoted", "rolled-back", "promoting", "removed", "pinned"]),
    image=st.sampled_from(IMAGES),
    digest=st.integers(1, 6).map(digest),
    tag=st.just("1"),
    was=st.just(""),
    run=st.just("r"),
    time_s=st.integers(-(10**9), 10**10),
)


@given(st.lists(_items, max_size=8), st.lists(_entries, max_size=8), st.integers(1, 4), st.sampled_from(["", "doubt"]))
def test_nothing_that_is_needed_goes(items: list[StoreItem], entries: list[LedgerEntry], keep: int, doubt: str) -> None:
    """Whatever lies there and whatever the ledger says; and everything has a reason."""
    decisions = plan_gc(Inventory(tuple(items), doubt=doubt), Ledger(tuple(entries)), keep=keep, days=1)
    assert [decision.item for decision in decisions] == items
    assert all(decision.reason for decision in decisions)
    going = [decision.item for decision in decisions if decision.removes]
    assert not (doubt and going)
    assert not any(item.is_current and item.kind is ItemKind.RELEASE for item in going)
    assert not any(item.live or item.kind is ItemKind.FOREIGN for item in going)
    for image in IMAGES:
        releases = [item for item in items if item.image == image and item.kind is ItemKind.RELEASE]
        stored = {item.digest for item in releases}
        moved = [e.digest for e in reversed(entries) if e.image == image and e.act in ("promoted", "rolled-back")]
        last = list(dict.fromkeys(name for name in moved if name in stored))[:keep]
        assert not {item.digest for item in going if item.image == image and item.kind is ItemKind.RELEASE} & set(last)
