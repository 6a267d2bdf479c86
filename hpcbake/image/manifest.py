"""Manifests, indexes and image configs: the JSON documents that tie an image's blobs together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from hpcbake.errors import IntegrityError, RegistryError
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})

#: The distribution spec asks registries for 4 MiB; nothing real comes near it.
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_MAX_NESTED = 4


@dataclass(frozen=True)
class Manifest:
    """A manifest or index as its very bytes; `digest` is computed from them, never copied from a header."""

    content: bytes
    media_type: str
    digest: Digest
    #: Made up by a source whose format has none (`docker save` of old): its digest names nothing anywhere.
    synthetic: bool = False

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEX_TYPES

    def document(self) -> dict[str, Any]:
        """The parsed JSON object. Raises RegistryError when the content is no JSON object."""
        return parse_object(self.content, f"manifest {self.digest}")


@dataclass(frozen=True)
class Descriptor:
    """A pointer to a blob or manifest: its type, digest and size, and the platform it is for."""

    media_type: str
    digest: Digest
    size: int
    platform: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def platform_name(self) -> str:
        """`linux/amd64`, `linux/arm/v7`; empty when none is stated."""
        parts = (self.platform.get("os", ""), self.platform.get("architecture", ""), self.platform.get("variant", ""))
        return "/".join(part for part in parts if part)

    @property
    def is_attestation(self) -> bool:
        """BuildKit lists provenance and SBOMs beside the platforms: as `unknown/unknown`, or by annotation."""
        return (
            self.platform_name.startswith("unknown")
            or self.annotations.get("vnd.docker.reference.type") == "attestation-manifest"
        )


@dataclass(frozen=True)
class HistoryEntry:
    """One line of an image's history: the instruction, and whether it made no layer."""

    created_by: str
    empty_layer: bool


@dataclass(frozen=True)
class ImageConfig:
    """What an image says about itself: platform, environment, what it starts, and how it came to be."""

    architecture: str = ""
    os: str = ""
    env: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    diff_ids: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()

    def variable(self, name: str) -> str | None:
        """The value of an environment variable; the last one counts, as in a process."""
        return dict(self.env).get(name)


def parse_object(content: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object, or raise RegistryError naming `what`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as cause:
        raise _malformed(what, "it is not JSON") from cause
    if not isinstance(document, dict):
        raise _malformed(what, "it is not a JSON object")
    return document


def detect_media_type(document: Mapping[str, Any], declared: str = "") -> str:
    """The media type of a manifest: the declared one if it says anything, else what the content looks like."""
    for candidate in (declared.partition(";")[0].strip(), str(document.get("mediaType", ""))):
        if candidate in INDEX_TYPES | MANIFEST_TYPES:
            return candidate
    return OCI_INDEX if isinstance(document.get("manifests"), list) else OCI_MANIFEST


def parse_descriptor(document: object, what: str) -> Descriptor:
    """Read one descriptor, or raise RegistryError naming `what`."""
    if not isinstance(document, dict):
        raise _malformed(what, "a descriptor is not an object")
    digest, size = document.get("digest"), document.get("size")
    if not isinstance(digest, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _malformed(what, f"a descriptor lacks a digest or a size: {document!r:.200}")
    if not digest.startswith("sha256:"):
        raise _malformed(what, f"only sha256 digests are understood, not {digest!r:.80}")
    return Descriptor(
        media_type=str(document.get("mediaType", "")),
        digest=Digest(digest),
        size=size,
        platform=_strings(document.get("platform")),
        annotations=_strings(document.get("annotations")),
    )


def parse_index(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The platform manifests of an index, attestations left out."""
    entries = manifest.document().get("manifests")
    if not isinstance(entries, list):
        raise _malformed(f"index {manifest.digest}", "it has no list of manifests")
    descriptors = [parse_descriptor(entry, f"index {manifest.digest}") for entry in entries]
    return tuple(descriptor for descriptor in descriptors if not descriptor.is_attestation)


def parse_layers(manifest: Manifest) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """The config descriptor and the layer descriptors, lowest first."""
    what = f"manifest {manifest.digest}"
    document = manifest.document()
    layers = document.get("layers")
    if document.get("schemaVersion") == 1:
        raise _malformed(what, "it is of the long retired schema 1; push the image again with a current docker")
    if not isinstance(layers, list):
        raise _malformed(what, "it has no list of layers")
    return parse_descriptor(document.get("config"), what), tuple(parse_descriptor(layer, what) for layer in layers)


def select_platform(manifest: Manifest, platform: str = "linux/amd64") -> Descriptor | None:
    """The entry of an index that a machine of `platform` would run, or None.

    `linux/amd64` also takes `linux/amd64/v2` and the like when there is no plain one: the first entry wins,
    as with docker. Attestations (`unknown/unknown`) are never platforms.
    """
    candidates = parse_index(manifest)
    exact = [entry for entry in candidates if entry.platform_name == platform]
    variant = [entry for entry in candidates if entry.platform_name.startswith(platform + "/")]
    unstated = [entry for entry in candidates if not entry.platform_name] if len(candidates) == 1 else []
    return next(iter(exact or variant or unstated), None)


def descend(
    manifest: Manifest, choose: Callable[[Manifest], Descriptor], fetch: Callable[[Digest], Manifest]
) -> Manifest:
    """The manifest of an image itself: below an index the entry that `choose` takes, below that one's index again.

    Tools that join images of several builds make indexes of indexes. Raises RegistryError where there is no end to it,
    and what `choose` and `fetch` raise.
    """
    for _ in range(_MAX_NESTED):
        if not manifest.is_index:
            return manifest
        manifest = fetch(choose(manifest).digest)
    if manifest.is_index:
        raise _malformed(f"index {manifest.digest}", f"indexes are nested more than {_MAX_NESTED} deep")
    return manifest


def parse_image_config(content: bytes, digest: Digest) -> ImageConfig:
    """Read an image config blob; fields of the wrong type count as absent, as container runtimes do."""
    document = parse_object(content, f"image config {digest}")
    run = document.get("config")
    run = run if isinstance(run, dict) else {}
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    history = document.get("history")
    return ImageConfig(
        architecture=str(document.get("architecture") or ""),
        os=str(document.get("os") or ""),
        env=tuple(_variable(item) for item in _texts(run.get("Env"))),
        entrypoint=_texts(run.get("Entrypoint")),
        command=_texts(run.get("Cmd")),
        user=str(run.get("User") or ""),
        working_dir=str(run.get("WorkingDir") or ""),
        labels=_strings(run.get("Labels")),
        diff_ids=_texts(diff_ids),
        history=tuple(
            HistoryEntry(str(entry.get("created_by") or ""), entry.get("empty_layer") is True)
            for entry in (history if isinstance(history, list) else [])
            if isinstance(entry, dict)
        ),
    )


def verify_bytes(content: bytes, expected: Digest, what: str) -> None:
    """Raise IntegrityError unless `content` is what `expected` names."""
    received = Digest.of(content)
    if received != expected:
        raise IntegrityError(
            f"{what}: {expected} expected, {received} received",
            remedy="run again; if it stays, the registry or a proxy in between serves wrong bytes: push again",
            kind="registry.digest-mismatch",
        )


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _strings(value: object) -> dict[str, str]:
    return {str(key): str(item) for key, item in value.items()} if isinstance(value, dict) else {}


def _malformed(what: str, why: str) -> RegistryError:
    return RegistryError(
        f"{what} cannot be read: {why}",
        remedy="check that the reference names a container image (not an artifact) and push it again",
        kind="registry.malformed",
    )
