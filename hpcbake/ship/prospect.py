"""What is known of an image before a run: its digest where the registry tells, and that a build is still to come."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Protocol

from hpcbake.build.build import ConfirmingRegistry, confirm, image_from_reference
from hpcbake.build.document import STAGING_TAG, Shipment
from hpcbake.deliver.convert import artifact_tag
from hpcbake.errors import BuildError, HpcbakeError, RegistryError
from hpcbake.image.manifest import parse_layers
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.report.records import error_record
from hpcbake.ship.forecast import TargetForecast

#: A registry's word that there is no such image (any more): the build will make it.
_NOT_THERE = frozenset({"registry.not-found", "registry.lost-blob", "registry.malformed", "image.platform"})


class ReadableRegistry(ConfirmingRegistry, Protocol):
    """A registry that is only read."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...


@dataclass(frozen=True)
class Prospect:
    """One image to ship. `image` is None where no registry holds it yet, or where `error` says why nobody knows.

    `found_at` is the tag that stood in for a target that is still to be built.
    """

    name: str
    version: str
    reference: ImageReference
    image: BuiltImage | None = None
    needs_build: bool = False
    found_at: str = ""
    tags: tuple[ImageReference, ...] = ()
    error: HpcbakeError | None = None

    @property
    def digest(self) -> str:
        return str(self.image.digest) if self.image else ""

    def forecast(self) -> TargetForecast:
        """What a plan says of it, whatever the site."""
        return TargetForecast(
            name=self.name,
            reference=str(self.image.reference if self.image else self.reference),
            digest=self.digest,
            needs_build=self.needs_build,
            found_at=self.found_at,
            tags=tuple(map(str, self.tags)),
            error=error_record("resolve", self.error) if self.error else None,
        )


def prospect_of_image(image: BuiltImage) -> Prospect:
    """An image that this run has built, or was given."""
    return Prospect(image.name, image.version, image.reference, image, tags=image.release_tags)


def prospect_of_shipment(shipment: Shipment, registry: ReadableRegistry) -> Prospect:
    """A target of a bake file, judged by what its staging tag holds now, or else its release tag.

    The staging tag comes first: where there is one, each build moves it. Never raises HpcbakeError.
    """
    first = shipment.tags[0]
    known = Prospect(shipment.name, shipment.version, first, needs_build=True, tags=shipment.tags)
    for tag in (first.with_tag(staging_tag(shipment.name)), first):
        try:
            digest = registry.head_manifest(tag)
            if digest is not None:
                return replace(known, image=confirm(shipment, digest, registry=registry), found_at=str(tag))
        except (RegistryError, BuildError) as error:
            if error.kind not in _NOT_THERE:
                return replace(known, error=error)
        except HpcbakeError as error:
            return replace(known, error=error)
    return known


def prospect_of_reference(name: str, text: str, registry: ReadableRegistry) -> Prospect:
    """An image that somebody built: exactly what the reference names. Raises ConfigError when it names nothing."""
    reference = parse_image_reference(text)
    version = reference.tag or (reference.digest.short if reference.digest else "latest")
    known = Prospect(name, version, reference)
    try:
        image = image_from_reference(text, name=name, registry=registry)
    except HpcbakeError as error:
        return replace(known, error=error)
    return replace(known, version=image.version, image=image)


def staging_tag(target: str) -> str:
    """The tag that builds of a target are pushed to where they cannot be pushed by digest."""
    return f"{STAGING_TAG}-{target.lower()}"


class SifSizes:
    """How large the SIF of an image is that lies beside it in the registry; asked once per image."""

    def __init__(self, registry: ReadableRegistry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._known: dict[Digest, int | None] = {}

    def find(self, image: BuiltImage) -> int | None:
        """Bytes, or None where none was converted yet or the registry does not tell: then nobody can know."""
        with self._lock:
            if image.digest not in self._known:
                self._known[image.digest] = self._ask(image)
            return self._known[image.digest]

    def _ask(self, image: BuiltImage) -> int | None:
        place = image.reference.with_tag(artifact_tag(image.digest))
        try:
            digest = self._registry.head_manifest(place)
            if digest is None:
                return None
            _, layers = parse_layers(self._registry.fetch_manifest(place.with_digest(digest)))
        except HpcbakeError:
            return None
        return sum(layer.size for layer in layers)
