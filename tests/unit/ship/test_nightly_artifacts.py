"""SIFs beside images do not pile up: those of the newest digests stay, the others go, and nothing else does."""

from __future__ import annotations

from pathlib import Path

from hpcbake.deliver.convert import artifact_tag
from hpcbake.errors import RegistryError
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.ship.nightly_artifacts import ShippedDigests, withdraw

APP = parse_image_reference("r.io/t/app:1.0")
DIGESTS = [Digest.of(bytes([number])) for number in range(5)]


class Registry:
    """Holds a SIF beside each digest; `refuses` deletes nothing."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.sifs = {artifact_tag(digest): Digest.of(digest.hex.encode()) for digest in DIGESTS}
        self.refuses = refuses

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        return self.sifs.get(ref.tag or "")

    def delete_manifest(self, ref: ImageReference) -> None:
        if self.refuses:
            raise RegistryError("405 unsupported")
        self.sifs = {tag: digest for tag, digest in self.sifs.items() if digest != ref.digest}


def shipped(path: Path) -> ShippedDigests:
    known = ShippedDigests(path)
    for digest in DIGESTS:
        known.note("app", digest)
    return known


def test_the_newest_stay(tmp_path: Path) -> None:
    """And the file forgets what is gone."""
    registry = Registry()
    known = shipped(tmp_path / "shipped.json")
    assert withdraw(known, {"app": APP}, registry, keep=2) == []
    assert list(registry.sifs) == [artifact_tag(digest) for digest in DIGESTS[-2:]]
    assert ShippedDigests(tmp_path / "shipped.json").surplus("app", 1) == [DIGESTS[3]]


def test_one_that_came_back_is_the_newest(tmp_path: Path) -> None:
    """A change that was taken back ships an old digest again."""
    known = shipped(tmp_path / "shipped.json")
    known.note("app", DIGESTS[0])
    assert known.surplus("app", 1) == DIGESTS[1:]


def test_a_registry_that_removes_nothing_is_told_once(tmp_path: Path) -> None:
    """One line, and the next night tries again."""
    known = shipped(tmp_path / "shipped.json")
    problems = withdraw(known, {"app": APP}, Registry(refuses=True), keep=2)
    assert problems == ["app: SIFs of older digests stay in r.io: 405 unsupported"]
    assert known.surplus("app", 2) == DIGESTS[:3]


def test_a_damaged_file_removes_nothing(tmp_path: Path) -> None:
    """What nobody knows of stays where it is."""
    (tmp_path / "shipped.json").write_text('{"kind": "hpcbake.shipped", "version": 1, "shipped": {"app": ["x"]}}')
    registry = Registry()
    assert withdraw(ShippedDigests(tmp_path / "shipped.json"), {"app": APP}, registry, keep=1) == []
    assert len(registry.sifs) == len(DIGESTS)
