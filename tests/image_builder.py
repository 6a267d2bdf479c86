"""Makes images in memory: layers from files, a config, a manifest, and a source that serves them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hpcbake.image.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest
from hpcbake.image.scan import ScannedImage, scan_image
from hpcbake.model.reference import Digest

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class HardLink:
    """A second name of a file."""

    target: str


@dataclass(frozen=True)
class File:
    """A file with a mode of its own."""

    content: bytes
    mode: int = 0o644


FOLDER = None
Content: TypeAlias = bytes | str | Link | HardLink | File | tarfile.TarInfo | None
Files: TypeAlias = Mapping[str, Content]


def make_layer(files: Files, *, compress: bool = True, format: int = tarfile.PAX_FORMAT) -> bytes:
    """A layer: bytes and text are files (0755 when they look like programs), None is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in files.items():
            info, data = _member(name, content)
            archive.addfile(info, io.BytesIO(data))
    raw = buffer.getvalue()
    return gzip.compress(raw, 1, mtime=0) if compress else raw


def _member(name: str, content: Content) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    data = b""
    if isinstance(content, tarfile.TarInfo):
        return content, data
    if content is FOLDER:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    elif isinstance(content, Link):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, content.target, 0o777
    elif isinstance(content, HardLink):
        info.type, info.linkname = tarfile.LNKTYPE, content.target
    elif isinstance(content, File):
        data, info.mode = content.content, content.mode
    else:
        data = content.encode() if isinstance(content, str) else content
        info.mode = 0o755 if data[:4] == b"\x7fELF" or data[:2] == b"#!" else 0o644
    info.size = len(data)
    return info, data


def index_of(inner: Manifest) -> Manifest:
    """An index that lists this manifest or index alone, and no platform."""
    entry = {"mediaType": inner.media_type, "digest": str(inner.digest), "size": len(inner.content)}
    content = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    return Manifest(content, OCI_INDEX, Digest.of(content))


@dataclass
class MemoryImage:
    """An image and the source it is read from."""

    layers: Sequence[bytes]
    config: Mapping[str, object] = field(default_factory=dict)
    architecture: str = "amd64"
    history: Sequence[str] = ()
    name: str = "registry.example.org/team/app:1"
    #: Platforms of an index around the manifest; empty for a plain manifest.
    index: Sequence[tuple[str, str]] = ()
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    chunk_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        config = {
            "architecture": self.architecture,
            "os": "linux",
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": line} for line in self.history],
        }
        layers = [self._blob(layer, LAYER) for layer in self.layers]
        content = json.dumps(config).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._blob(content, "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        }
        self.top = self._manifest(document, OCI_MANIFEST)
        if self.index:
            entries = [
                {
                    "mediaType": OCI_MANIFEST,
                    "digest": str(self.top.digest),
                    "size": len(self.top.content),
                    "platform": {"os": system, "architecture": machine},
                }
                for system, machine in self.index
            ]
            self.top = self._manifest({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX)

    def _blob(self, content: bytes, media_type: str) -> dict[str, object]:
        digest = str(Digest.of(content))
        self.blobs[digest] = content
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _manifest(self, document: object, media_type: str) -> Manifest:
        content = json.dumps(document).encode()
        manifest = Manifest(content, media_type, Digest.of(content))
        self.manifests[str(manifest.digest)] = manifest
        return manifest

    def wrap(self) -> None:
        """Put another index around what is on top, as tools do that join images of several builds."""
        self.top = index_of(self.top)
        self.manifests[str(self.top.digest)] = self.top

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
        return self.manifests[str(digest)] if digest else self.top

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        self.opened.append(str(descriptor.digest))
        content = self.blobs[str(descriptor.digest)]
        for at in range(0, len(content), self.chunk_bytes):
            yield content[at : at + self.chunk_bytes]


def scanned(*layers: Files, history: Sequence[str] = (), architecture: str = "amd64", **config: object) -> ScannedImage:
    """The scan of an image with these layers; `config` keys are those of the image config (Env, Entrypoint, Cmd)."""
    image = MemoryImage([make_layer(layer) for layer in layers], config, architecture, history)
    return scan_image(image)
