"""A site that pulls takes the SIF beside the image, if it is that image's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpcbake.deliver.convert import artifact_tag, render_artifact
from hpcbake.deliver.published import PublishedSifs
from hpcbake.errors import IntegrityError, PrereqError, RegistryTempError
from hpcbake.image.manifest import OCI_MANIFEST, Manifest
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.ports import KeptSif
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference

DIGEST = Digest.of(b"image")
IMAGE = BuiltImage("app", "1.0", parse_image_reference(f"r.io/t/app@{DIGEST}"), DIGEST, 5)
ARTIFACT = render_artifact(IMAGE, KeptSif(Path("/x"), "ab" * 32, 1234))


class Registry:
    """Holds one artifact, or none."""

    def __init__(self, content: bytes | None) -> None:
        self._content = content

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        assert ref.tag == artifact_tag(DIGEST)
        return Digest.of(self._content) if self._content else None

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        assert self._content is not None
        return Manifest(self._content, OCI_MANIFEST, Digest.of(self._content))


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(ARTIFACT), **members}).encode()


def test_the_published_sif_is_taken_by_digest() -> None:
    """What the build host wrote is what is read: sum, size, place."""
    found = PublishedSifs(Registry(ARTIFACT)).convert(IMAGE, publish=True)
    assert (found.sha256, found.size_bytes, found.made) == ("ab" * 32, 1234, False)
    assert str(found.artifact) == f"r.io/t/app@{Digest.of(ARTIFACT)}"
    assert PublishedSifs(Registry(None)).why_not() == ""


def test_without_one_the_site_s_runtime_must() -> None:
    """The failure that makes `auto` choose another way."""
    with pytest.raises(PrereqError):
        PublishedSifs(Registry(None)).convert(IMAGE, publish=True)


@pytest.mark.parametrize(
    "content",
    [changed(annotations={"hpcbake.image.digest": "sha256:other"}), changed(annotations=None), changed(layers=[])],
)
def test_another_image_s_sif_is_refused(content: bytes) -> None:
    """A tag can be moved by anybody who may push."""
    with pytest.raises(IntegrityError):
        PublishedSifs(Registry(content)).convert(IMAGE, publish=True)


def test_nothing_can_be_sent_from_a_site_to_itself() -> None:
    """The way `stream` has no sense here; the registry is what is out of reach."""
    with pytest.raises(RegistryTempError):
        PublishedSifs(Registry(ARTIFACT)).convert(IMAGE, publish=False)
