"""One image in a registry, as the source that a scan reads from."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.adapters.registry import RegistryClient
from hpcbake.image.manifest import Descriptor, Manifest
from hpcbake.model.reference import Digest, ImageReference


class RegistrySource:
    """The image that `ref` names, read through `client`."""

    def __init__(self, client: RegistryClient, ref: ImageReference) -> None:
        self._client = client
        self._ref = ref

    @property
    def name(self) -> str:
        return str(self._ref)

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
        return self._client.fetch_manifest(self._ref.with_digest(digest) if digest else self._ref)

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        return self._client.open_blob(self._ref, descriptor.digest, size=descriptor.size)
