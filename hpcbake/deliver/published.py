"""SIFs that the build host put beside their images: what a site that pulls by itself takes instead of converting."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hpcbake.deliver.convert import SIF_TYPE, artifact_tag
from hpcbake.errors import IntegrityError, PrereqError, RegistryTempError
from hpcbake.image.manifest import Manifest, parse_object
from hpcbake.model.artefacts import BuiltImage, ConvertedSif
from hpcbake.model.reference import Digest, ImageReference

_IMAGE_KEY = "hpcbake.image.digest"


class PublishingRegistry(Protocol):
    """What is asked of the registry."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...

    def fetch_manifest(self, ref: ImageReference) -> Manifest: ...


class PublishedSifs:
    """A Converter that never converts. An image without a published SIF is left to the site's own runtime."""

    def __init__(self, registry: PublishingRegistry) -> None:
        self._registry = registry

    def why_not(self) -> str:
        return ""

    def convert(self, image: BuiltImage, *, publish: bool) -> ConvertedSif:
        """The SIF beside the image. Raises PrereqError where there is none, IntegrityError where it is another's."""
        place = image.reference.with_tag(artifact_tag(image.digest))
        if not publish:  # asked for the bytes themselves, to be sent: the site could not get them
            raise RegistryTempError(
                f"{place} could not be pulled, and a site that pulls by itself has no other way",
                remedy="see that this machine reaches the registry, then run the same command again",
                kind="registry.unreachable",
            )
        digest = self._registry.head_manifest(place)
        if digest is None:
            raise PrereqError(
                f"no SIF beside {image.name} in {image.reference.registry}",
                remedy="let the site convert: --way docker; or ship from a machine that has apptainer",
                kind="config.converter",
            )
        document = parse_object(self._registry.fetch_manifest(place.with_digest(digest)).content, str(place))
        annotations, layers = document.get("annotations"), document.get("layers")
        named = annotations.get(_IMAGE_KEY) if isinstance(annotations, dict) else None
        if named != str(image.digest):
            raise IntegrityError(
                f"{place} says that it was made from {named or 'no image'} instead of {image.digest}",
                remedy="remove that tag; the next ship puts the right SIF there",
            )
        sifs = [layer for layer in layers if _is_sif(layer)] if isinstance(layers, list) else []
        if len(sifs) != 1:
            raise IntegrityError(f"{place} holds {len(sifs)} SIFs instead of one", remedy="remove that tag")
        made_of = Digest(str(sifs[0]["digest"]))
        return ConvertedSif(Path(), made_of.hex, int(sifs[0]["size"]), place.with_digest(digest), made=False)


def _is_sif(layer: object) -> bool:
    if not isinstance(layer, dict):
        return False
    return layer.get("mediaType") == SIF_TYPE and isinstance(layer.get("size"), int) and "digest" in layer
