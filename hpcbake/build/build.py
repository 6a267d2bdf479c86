"""Builds the plan's targets and returns only digests that a registry confirmed, blob by blob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from hpcbake.build.document import SITE_PLATFORM, Shipment, build_document
from hpcbake.errors import BuildError, HpcbakeError, RegistryError
from hpcbake.image.manifest import Descriptor, Manifest, descend, parse_layers, select_platform
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.plan import Plan, Target
from hpcbake.model.ports import Builder
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference

_BAKE_ATTEMPTS = 3


class ConfirmingRegistry(Protocol):
    """What the build asks of a registry after a push."""

    def fetch_manifest(self, ref: ImageReference) -> Manifest: ...

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None: ...


def build(
    plan: Plan, shipments: Sequence[Shipment], *, builder: Builder, registry: ConfirmingRegistry
) -> list[BuiltImage]:
    """Build and push every shipment in one call of BuildKit, then read each back.

    A registry that acknowledged a push and does not serve it gets a second push; if the blobs are still missing this
    raises RegistryError. Also raises what the builder raises.
    """
    document = json.dumps(build_document(plan, shipments, by_digest=builder.pushes_by_digest()), indent=2)
    names = [shipment.name for shipment in shipments]
    metadata = _bake(builder, document, names)
    images: list[BuiltImage] = []
    for shipment in shipments:
        digest = _pushed_digest(shipment, metadata[shipment.name])
        try:
            images.append(confirm(shipment, digest, registry=registry))
        except RegistryError as error:
            if error.kind not in ("registry.not-found", "registry.lost-blob"):
                raise
            again = _bake(builder, document, [shipment.name])
            images.append(confirm(shipment, _pushed_digest(shipment, again[shipment.name]), registry=registry))
    return images


def _bake(builder: Builder, document: str, names: list[str]) -> dict[str, dict[str, object]]:
    """One build; what passes (a busy registry, another build of the same image) is tried again."""
    # Here, as it takes longer to load than most of what loads this module has to do.
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    for attempt in Retrying(
        reraise=True,
        retry=retry_if_exception(lambda error: isinstance(error, HpcbakeError) and error.retryable),
        wait=wait_random_exponential(multiplier=1, max=10),
        stop=stop_after_attempt(_BAKE_ATTEMPTS),
    ):
        with attempt:
            return builder.bake(document, names)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _pushed_digest(shipment: Shipment, metadata: dict[str, object]) -> Digest:
    text = metadata.get("containerimage.digest")
    if not isinstance(text, str):
        raise BuildError(
            f"target {shipment.name!r}: BuildKit gave no digest",
            remedy="this builder cannot push by digest: use BuildKit 0.12 or newer, or the containerd image store",
            kind="image.metadata",
        )
    return Digest(text)


def confirm(shipment: Shipment, digest: Digest, *, registry: ConfirmingRegistry) -> BuiltImage:
    """Ask the registry for the manifest and for every blob it names. Raises RegistryError if any is missing."""
    pushed = shipment.tags[0].with_digest(digest)

    def choose(index: Manifest) -> Descriptor:
        entry = select_platform(index, SITE_PLATFORM)
        if entry is None:
            raise BuildError(
                f"target {shipment.name!r}: {pushed} holds no {SITE_PLATFORM} image",
                remedy='add the platform to the target: platforms = ["linux/amd64"]',
                kind="image.platform",
            )
        return entry

    manifest = descend(
        registry.fetch_manifest(pushed), choose, lambda digest: registry.fetch_manifest(pushed.with_digest(digest))
    )
    reference = pushed.with_digest(manifest.digest)
    config, layers = parse_layers(manifest)
    for blob in (config, *layers):
        if registry.head_blob(reference, blob.digest) is None:
            raise RegistryError(
                f"{reference.registry} acknowledged {digest} but does not serve its blob {blob.digest}",
                remedy="push again; if it stays, the registry collected garbage while it ran: restart it",
                kind="registry.lost-blob",
            )
    return BuiltImage(
        name=shipment.name,
        version=shipment.version,
        reference=reference,
        digest=manifest.digest,
        size_bytes=sum(layer.size for layer in layers),
        release_tags=shipment.tags,
        blobs=1 + len(layers),
    )


def image_from_reference(text: str, *, name: str, registry: ConfirmingRegistry) -> BuiltImage:
    """An image that somebody else built, by reference, for the verbs that take one."""
    reference = parse_image_reference(text)
    if reference.digest is None and reference.tag is None:
        reference = reference.with_tag("latest")
    digest = reference.digest or registry.fetch_manifest(reference).digest
    shipment_tags = (reference.with_tag(reference.tag or digest.short),)
    # What somebody else built keeps the tags that somebody else gave it.
    return replace(confirm(Shipment(Target(name, {}), shipment_tags), digest, registry=registry), release_tags=())
