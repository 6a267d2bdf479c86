"""What a build says about itself is no change: the platform manifest's digest is an image's, never the index's."""

from __future__ import annotations

import json

import pytest

from hpcbake.build.build import build, image_from_reference
from hpcbake.build.document import find_shipments
from hpcbake.image.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from hpcbake.model.reference import Digest, ImageReference
from tests.unit.build.test_confirm_and_retry import APP, MANIFEST, plan_of


def index_with(attestation: bytes) -> Manifest:
    """The image's manifest, and beside it what BuildKit attests of this build (times, so it differs each time)."""
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(MANIFEST.digest),
            "size": len(MANIFEST.content),
            "platform": {"os": "linux", "architecture": "amd64"},
        },
        {
            "mediaType": OCI_MANIFEST,
            "digest": str(Digest.of(attestation)),
            "size": len(attestation),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        },
    ]
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    return Manifest(content, OCI_INDEX, Digest.of(content))


class Registry:
    """Holds the image, and one index after the other under its tag."""

    def __init__(self, index: Manifest) -> None:
        self.index = index

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        return MANIFEST if ref.digest == MANIFEST.digest else self.index

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        return 5


class Builder:
    """A builder that adds attestations: the digest that it tells is the index's."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def pushes_by_digest(self) -> bool:
        return True

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        return {name: {"containerimage.digest": str(self._registry.index.digest)} for name in targets}


@pytest.mark.parametrize("times", [(b"noon", b"one"), (b"noon", b"noon")])
def test_two_builds_that_differ_in_their_attestations_are_one_image(times: tuple[bytes, bytes]) -> None:
    """The same digest comes out, by whatever index it was found."""
    indexes = [index_with(time) for time in times]
    assert (indexes[0].digest == indexes[1].digest) is (times[0] == times[1])
    plan = plan_of(APP)
    digests = set()
    for index in indexes:
        registry = Registry(index)
        (image,) = build(plan, find_shipments(plan), builder=Builder(registry), registry=registry)
        digests |= {image.digest, image.reference.digest}
        digests.add(image_from_reference("r.example.org/team/app:1.0", name="app", registry=registry).digest)
    assert digests == {MANIFEST.digest}
