"""What an image holds, file by file, as checksums; and whether a SIF holds the same.

A conversion that exits 0 proves nothing: a damaged cache gives a well-formed SIF of something else. Here every regular
file of the image's merged file system is found again in the SIF, byte for byte, and nothing is there that neither the
image nor the runtime has put there.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from hpcbake.errors import UncheckedError
from hpcbake.image.layer import LayerEntry, LayerFacts, ScanLimits, clean_path
from hpcbake.image.manifest import Descriptor, Manifest, descend, parse_index, parse_layers, select_platform
from hpcbake.image.scan import BlobSource
from hpcbake.image.stream import ByteStream, unpack
from hpcbake.image.tar import EntryKind, TarWalker
from hpcbake.image.tree import Tree

#: What apptainer and singularity write at conversion: their own folder and its links in the root, and the two files
#: that they bind over when a container starts (their build's base environment makes exactly these).
_RUNTIMES = re.compile(
    r"\.singularity\.d(?:/.*)?|singularity|environment|\.(?:exec|run|shell|test)|etc/(?:hosts|resolv\.conf)"
)
EMPTY_DIGEST = hashlib.sha256().digest()
_MAX_TOLD = 20


class ContentEntry(NamedTuple):
    """One path: its kind, the SHA-256 of a regular file (32 bytes), the target of a symbolic link."""

    kind: EntryKind
    digest: bytes = b""
    target: str = ""


#: Paths without a leading slash → what lies there. Folders are not listed.
Content = Mapping[str, ContentEntry]


def hash_image(
    source: BlobSource, *, platform: str = "linux/amd64", limits: ScanLimits | None = None
) -> dict[str, ContentEntry]:
    """The content of the image that a machine of `platform` would run, every blob's digest checked on the way.

    Raises IntegrityError for bytes that are not what their digest says, UncheckedError for something that is no image
    or that goes beyond the limits.
    """

    def choose(index: Manifest) -> Descriptor:
        chosen = select_platform(index, platform)
        if chosen is None:
            offered = ", ".join(entry.platform_name for entry in parse_index(index))
            raise UncheckedError(
                f"{source.name} has no {platform}, only {offered}",
                remedy='build it for the sites: platforms = ["linux/amd64"]',
                kind="image.no-platform",
            )
        return chosen

    manifest = descend(source.fetch_manifest(), choose, source.fetch_manifest)
    _, descriptors = parse_layers(manifest)
    limits = limits or ScanLimits()
    workers = max(1, min(4, os.cpu_count() or 1, len(descriptors) or 1))
    with ThreadPoolExecutor(workers, thread_name_prefix="content") as pool:
        layers = list(pool.map(lambda one: _hash_layer(source, one, limits), descriptors))
    tree = Tree()
    for number, facts in enumerate(layers):
        tree.add_layer(facts, number)
    return {path[1:]: ContentEntry(node.kind, node.content or b"", node.target) for path, node in tree.walk()}


def compare_content(image: Content, sif: Content) -> list[str]:
    """How the SIF differs from the image, in words; empty when it holds the image's content and nothing else.

    At most twenty differences are told one by one; the last line counts the rest.
    """
    differences = [*_lost_or_changed(image, sif), *_not_from_image(image, sif)]
    more = len(differences) - _MAX_TOLD
    return differences if more <= 0 else [*differences[:_MAX_TOLD], f"and {more} more"]


def content_digest(content: Content) -> str:
    """One SHA-256 over all files and links, which a shell computes just so from an unpacked SIF:

        { find … -type f -print0 | sort -z | xargs -0 sha256sum -z; find … -type l -printf '%p -> %l\\0' | sort -z; }

    What the runtime writes, and `dev/`, is left out. Empty where devices lie outside `dev/`: what they become depends
    on who converts.
    """
    files, links = [], []
    for path, entry in content.items():
        if _RUNTIMES.fullmatch(path) or path.startswith("dev/"):
            continue
        name = b"./" + path.encode("utf-8", "surrogateescape")
        if entry.kind is EntryKind.FILE:
            files.append((name, entry.digest))
        elif entry.kind is EntryKind.SYMLINK:
            links.append(name + b" -> " + entry.target.encode("utf-8", "surrogateescape") + b"\0")
        else:
            return ""
    checksum = hashlib.sha256()
    for name, digest in sorted(files):
        checksum.update(digest.hex().encode() + b"  " + name + b"\0")
    for line in sorted(links):
        checksum.update(line)
    return checksum.hexdigest()


def _lost_or_changed(image: Content, sif: Content) -> Iterator[str]:
    for path, wanted in image.items():
        if _RUNTIMES.fullmatch(path):
            continue
        found = sif.get(path)
        if wanted.kind is EntryKind.FILE:
            if found is None:
                yield f"{path!r} is missing"
            elif found.kind is not EntryKind.FILE:
                yield f"{path!r} is no regular file"
            elif found.digest != wanted.digest:
                yield f"{path!r} holds other bytes"
        elif wanted.kind is EntryKind.SYMLINK and (
            found is None or found.kind is not EntryKind.SYMLINK or found.target != wanted.target
        ):
            yield f"the link {path!r} is missing or points elsewhere"
        # Devices and pipes cannot be made without root: a conversion by an ordinary user leaves them out.


def _not_from_image(image: Content, sif: Content) -> Iterator[str]:
    for path, found in sif.items():
        known = image.get(path)
        if known is None and not _RUNTIMES.fullmatch(path):
            yield f"{path!r} is not from the image"
        elif (
            known is not None
            and known.kind in (EntryKind.DEVICE, EntryKind.FIFO)
            and found.kind is EntryKind.FILE
            and found.digest != EMPTY_DIGEST
        ):
            yield f"{path!r} is a file with content, a device in the image"


def _hash_layer(source: BlobSource, descriptor: Descriptor, limits: ScanLimits) -> LayerFacts:
    what = f"layer {descriptor.digest} of {source.name}"
    chunks = source.open_blob(descriptor)
    stream = ByteStream(unpack(chunks, what))
    walker = TarWalker(stream, what)
    facts = LayerFacts()
    for entry in walker:
        if len(facts.entries) >= limits.entries or stream.position > limits.layer_bytes:
            raise UncheckedError(
                f"limit reached: {what} has more than {limits.entries} files",
                remedy="look for what filled the image; caches of conda, npm and pip are the usual reason",
                kind="image.limit",
            )
        content = _digest_of(walker.pieces(entry)) if entry.kind == EntryKind.FILE else None
        facts.entries.append(LayerEntry(clean_path(entry.name), entry.kind, entry.mode, entry.target, None, content))
    stream.drain()
    for _ in chunks:  # the source checks the blob's digest at its very end
        pass
    return facts


def _digest_of(pieces: Iterable[memoryview]) -> bytes:
    checksum = hashlib.sha256()
    for piece in pieces:
        checksum.update(piece)
    return checksum.digest()
