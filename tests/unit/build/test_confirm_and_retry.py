"""A build counts when the registry confirms it; what passes is tried again, what does not is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from hpcbake.build.build import build, image_from_reference
from hpcbake.build.document import build_document, find_shipments
from hpcbake.errors import BuildError, ConfigError, HpcbakeError, RegistryError
from hpcbake.image.manifest import OCI_MANIFEST, Manifest
from hpcbake.model.plan import Group, Plan, Target
from hpcbake.model.reference import Digest, ImageReference
from tests.image_builder import index_of

LAYER, CONFIG = Digest.of(b"layer"), Digest.of(b"config")
CONTENT = json.dumps(
    {
        "schemaVersion": 2,
        "config": {"mediaType": "c", "digest": str(CONFIG), "size": 6},
        "layers": [{"mediaType": "l", "digest": str(LAYER), "size": 5}],
    }
).encode()
MANIFEST = Manifest(CONTENT, OCI_MANIFEST, Digest.of(CONTENT))


def plan_of(*targets: Target) -> Plan:
    return Plan({t.name: t for t in targets}, {"default": Group("default", tuple(t.name for t in targets))})


APP = Target("app", {"context": ".", "tags": ["r.example.org/team/app:1.0", "r.example.org/other/app"]})


@dataclass
class Registry:
    """Holds blobs by digest; `lost` are those it acknowledged and does not serve."""

    lost: set[Digest] = field(default_factory=set)
    heals: bool = False
    #: Indexes by their digest; everything else is the manifest itself.
    indexes: dict[Digest, Manifest] = field(default_factory=dict)

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        return self.indexes.get(ref.digest, MANIFEST) if ref.digest else MANIFEST

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        is_lost = digest in self.lost
        if self.heals:
            self.lost.discard(digest)
        return None if is_lost else 5


@dataclass
class FakeBuilder:
    """Fails with each of `failures` in turn, then builds."""

    failures: list[HpcbakeError] = field(default_factory=list)
    by_digest: bool = True
    calls: list[list[str]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)

    def pushes_by_digest(self) -> bool:
        return self.by_digest

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        self.calls.append(targets)
        self.documents.append(document)
        if self.failures:
            raise self.failures.pop(0)
        return {name: {"containerimage.digest": str(MANIFEST.digest)} for name in targets}


def run(builder: FakeBuilder, registry: Registry) -> Digest:
    plan = plan_of(APP)
    (image,) = build(plan, find_shipments(plan), builder=builder, registry=registry)
    return image.digest


def test_a_confirmed_build_has_the_registry_s_digest() -> None:
    """The digest is the manifest's own, and every blob was asked for."""
    assert run(FakeBuilder(), Registry()) == MANIFEST.digest


def test_a_lost_blob_is_pushed_once_more() -> None:
    """A registry that acknowledged and lost a blob gets a second push."""
    builder = FakeBuilder()
    assert run(builder, Registry({LAYER}, heals=True)) == MANIFEST.digest
    assert len(builder.calls) == 2


def test_a_blob_that_stays_lost_is_an_error() -> None:
    """After the second push the registry is named, with the blob it does not serve."""
    with pytest.raises(RegistryError, match=str(LAYER)):
        run(FakeBuilder(), Registry({LAYER}))


def test_what_passes_is_tried_again() -> None:
    """Another build of the same image at the same moment is no failure."""
    builder = FakeBuilder([BuildError("raced", kind="image.race", retryable=True)])
    assert run(builder, Registry()) == MANIFEST.digest


def test_a_broken_step_is_not_tried_again() -> None:
    """A RUN that fails fails once."""
    builder = FakeBuilder([BuildError("exit code 1")])
    with pytest.raises(BuildError):
        run(builder, Registry())
    assert len(builder.calls) == 1


def test_no_release_tag_is_in_what_the_builder_gets() -> None:
    """Neither way of pushing names a tag that users see; both are for linux/amd64 only."""
    plan = plan_of(APP)
    for by_digest in (True, False):
        document = build_document(plan, find_shipments(plan), by_digest=by_digest)
        text = json.dumps(document)
        assert "app:1.0" not in text
        assert '"platforms": ["linux/amd64"]' in text
    assert "hpcbake-staging" in text


def test_an_image_by_reference_moves_no_tag() -> None:
    """What somebody else built keeps the tags that somebody else gave it."""
    image = image_from_reference(f"r.example.org/team/app@{MANIFEST.digest}", name="app", registry=Registry())
    assert image.release_tags == ()
    assert image.version == MANIFEST.digest.short


def test_an_image_below_indexes_of_indexes_is_found() -> None:
    """What ships is the platform's own manifest, however many indexes lie above it."""
    inner = index_of(MANIFEST)
    outer = index_of(inner)
    registry = Registry(indexes={one.digest: one for one in (inner, outer)})
    image = image_from_reference(f"r.example.org/team/app@{outer.digest}", name="app", registry=registry)
    assert image.digest == MANIFEST.digest


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({}, "no tag"),
        ({"tags": ["r.example.org/a:1"], "platforms": ["linux/arm64"]}, "linux/amd64"),
        ({"tags": ["R E G/a b"]}, "image reference"),
    ],
)
def test_a_target_that_cannot_ship_is_refused_before_the_build(attributes: dict[str, object], says: str) -> None:
    """No tag, no platform that sites run, no readable reference: a ConfigError with what to write instead."""
    with pytest.raises(ConfigError, match=says):
        find_shipments(plan_of(Target("app", attributes)))  # type: ignore[arg-type]
