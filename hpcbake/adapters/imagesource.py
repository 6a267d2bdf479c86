"""One image in a registry, as the source that a scan reads from, with mirrors in front of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field, replace

from hpcbake.adapters.registry import RegistryClient
from hpcbake.errors import HpcbakeError, IntegrityError, RegistryError, RegistryTempError, UsageError
from hpcbake.image.manifest import Descriptor, Manifest
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference


@dataclass(frozen=True)
class Mirror:
    """Another place for the images of one registry: its host, and a path in front of their repositories."""

    registry: str
    host: str
    prefix: str = ""

    def find(self, ref: ImageReference) -> ImageReference | None:
        """Where the mirror keeps this image; None for an image of another registry."""
        if ref.registry != self.registry:
            return None
        return replace(ref, registry=self.host, repository=f"{self.prefix}{ref.repository}")


def parse_mirror(text: str) -> Mirror:
    """Read `docker.io=mirror.example.org/hub`. Raises UsageError."""
    registry, equals, place = text.partition("=")
    wrong = UsageError(
        f"{text!r} names no mirror", remedy="write REGISTRY=MIRROR, as in docker.io=mirror.example.org/hub"
    )
    try:
        # References are what both sides have to fit into.
        origin = parse_image_reference(f"{registry}/x/x")
        there = parse_image_reference(f"{place.rstrip('/')}/x/x")
    except HpcbakeError as cause:
        raise wrong from cause
    if not equals or origin.repository != "x/x":
        raise wrong
    return Mirror(origin.registry, there.registry, there.repository.removesuffix("x/x"))


@dataclass
class RegistrySource:
    """The image that `ref` names, read through `client`: from the first place that has it, the registry last.

    Whatever a mirror serves is verified like the registry's own; wrong bytes are asked for at the next place.
    """

    client: RegistryClient
    ref: ImageReference
    mirrors: Sequence[Mirror] = ()
    _distrusted: set[tuple[ImageReference, Digest]] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.ref)

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
        wanted = self.ref.with_digest(digest) if digest else self.ref
        for place in self._mirrored(wanted):
            try:
                return self.client.fetch_manifest(place)
            except (RegistryError, RegistryTempError, IntegrityError):
                continue
        return self.client.fetch_manifest(wanted)

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        digest, size = descriptor.digest, descriptor.size
        for place in self._mirrored(self.ref):
            if (place, digest) in self._distrusted:
                continue
            has_begun = False
            try:
                for chunk in self.client.open_blob(place, digest, size=size):
                    has_begun = True
                    yield chunk
                return
            except (RegistryError, RegistryTempError, IntegrityError):
                # What was handed on cannot be taken back: the scan starts the layer anew, at the next place.
                self._distrusted.add((place, digest))
                if has_begun:
                    raise
        yield from self.client.open_blob(self.ref, digest, size=size)

    def _mirrored(self, ref: ImageReference) -> Iterator[ImageReference]:
        for mirror in self.mirrors:
            found = mirror.find(ref)
            if found:
                yield found
