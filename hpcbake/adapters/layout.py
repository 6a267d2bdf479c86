"""Images that lie on this machine: OCI layouts (a folder or a tar), `docker save` archives, unpacked root folders."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from hpcbake.elf import ELF_MAGIC, FileWindow, find_elf_facts
from hpcbake.errors import IntegrityError, UncheckedError
from hpcbake.image.layer import LayerEntry, first_line, wanted_text_bytes
from hpcbake.image.manifest import (
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    detect_media_type,
    parse_descriptor,
    parse_object,
    verify_bytes,
)
from hpcbake.image.stream import unpack
from hpcbake.image.tar import EntryKind
from hpcbake.model.reference import Digest

_CHUNK_BYTES = 256 * 1024
_MAX_JSON_BYTES = 32 * 1024 * 1024
_REF_NAME = "org.opencontainers.image.ref.name"
_IMAGE_NAME = "io.containerd.image.name"


class Shelf(Protocol):
    """Named files: a folder or an archive."""

    name: str

    def open(self, name: str) -> IO[bytes] | None:
        """The file of this name (`blobs/sha256/…`), or None."""
        ...


class FolderShelf:
    """Files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def open(self, name: str) -> IO[bytes] | None:
        path = self._folder / name
        return path.open("rb") if ".." not in Path(name).parts and path.is_file() else None


class ArchiveShelf:
    """Files of a tar archive; a compressed one is unpacked to a temporary file first."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._file = _plain_file(path)
        try:
            self._tar = tarfile.open(fileobj=self._file, mode="r:")  # noqa: SIM115  (lives as long as the shelf)
            members = self._tar.getmembers()
        except tarfile.TarError as cause:
            raise _no_image(path, f"it is no tar archive ({cause})") from cause
        self._members = {os.path.normpath(member.name): member for member in members}

    def open(self, name: str) -> IO[bytes] | None:
        member = self._members.get(os.path.normpath(name))
        # Old docker archives link equal layers to one another.
        for _ in range(8):
            if member is None or not member.issym():
                break
            target = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))  # noqa: PTH118, PTH120
            member = self._members.get(target)
        if member is None or not member.isfile():
            return None
        return _Part(self._file, member.offset_data, member.size)  # type: ignore[return-value]


class _Part:
    """A part of a file, read by position: several threads may hold parts of one file."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._descriptor = file.fileno()
        self._at = start
        self._end = start + size

    def read(self, size: int = -1) -> bytes:
        wanted = self._end - self._at if size < 0 else min(size, self._end - self._at)
        content = os.pread(self._descriptor, wanted, self._at)
        self._at += len(content)
        return content

    def close(self) -> None:
        """The file belongs to the shelf."""

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        return


class LayoutSource:
    """An image of an OCI layout. `reference` picks one by tag or digest when there are several."""

    def __init__(self, shelf: Shelf, reference: str = "") -> None:
        self._shelf = shelf
        self._reference = reference

    @property
    def name(self) -> str:
        return f"{self._shelf.name}:{self._reference}" if self._reference else self._shelf.name

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
        chosen = digest or self._choose().digest
        content = _read_small(self._shelf, _blob_name(chosen))
        if content is None:
            raise self._lacks(f"manifest {chosen}")
        verify_bytes(content, chosen, f"manifest of {self.name}")
        return Manifest(content, detect_media_type(parse_object(content, str(chosen))), chosen)

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        file = self._shelf.open(_blob_name(descriptor.digest))
        if file is None:
            raise self._lacks(f"blob {descriptor.digest}")
        return _verified(file, descriptor, self.name)

    def _choose(self) -> Descriptor:
        index = parse_object(_read_small(self._shelf, "index.json") or b"", f"index.json of {self._shelf.name}")
        listed = index.get("manifests")
        entries = [parse_descriptor(entry, "index.json") for entry in listed] if isinstance(listed, list) else []
        images = [entry for entry in entries if not entry.is_attestation]
        if not images:
            raise UncheckedError(
                f"{self._shelf.name} holds no image: its index.json lists none",
                remedy="write the layout again, for example with docker buildx build --output type=oci",
                kind="image.not-an-image",
            )
        wanted = self._reference
        if wanted:
            matching = [entry for entry in images if wanted in _names(entry)]
        else:
            matching = images
        if len({entry.digest for entry in matching}) != 1:
            offered = ", ".join(sorted({name for entry in images for name in _names(entry)})) or "nothing"
            raise UncheckedError(
                f"{self.name}: {'no' if not matching else 'more than one'} image of that name; it holds {offered}",
                remedy=f"name one: oci:{self._shelf.name}:TAG",
                kind="image.ambiguous",
            )
        return matching[0]

    def _lacks(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self.name} lacks {what}", remedy="write the layout again", kind="image.incomplete-layout"
        )


class DockerArchiveSource:
    """An image of a `docker save` archive in its own format (`manifest.json`)."""

    def __init__(self, shelf: Shelf, reference: str = "") -> None:
        self._shelf = shelf
        self._reference = reference
        self._names: dict[Digest, str] = {}
        self._manifest: Manifest | None = None

    @property
    def name(self) -> str:
        return f"{self._shelf.name}:{self._reference}" if self._reference else self._shelf.name

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:  # noqa: ARG002  (there is only one)
        if self._manifest is None:
            self._manifest = self._make_manifest()
        return self._manifest

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        file = self._shelf.open(self._names[descriptor.digest])
        assert file is not None
        return _verified(file, descriptor, self.name)

    def _make_manifest(self) -> Manifest:
        """A manifest by the archive's rules. Layers are plain tars, so their digests are the config's diff_ids."""
        entry = self._choose()
        config_name, layer_names = str(entry.get("Config", "")), [str(name) for name in entry.get("Layers") or []]
        config = _read_small(self._shelf, config_name)
        if config is None:
            raise UncheckedError(
                f"{self.name} lacks its config {config_name!r:.100}",
                remedy="save the image again: docker save -o FILE IMAGE",
                kind="image.incomplete-archive",
            )
        diff_ids = (parse_object(config, config_name).get("rootfs") or {}).get("diff_ids") or []
        layers = []
        for number, name in enumerate(layer_names):
            stated = str(diff_ids[number]) if number < len(diff_ids) else ""
            digest, size = self._measure(name)
            is_compressed = str(digest) != stated
            if is_compressed and not self._unpacks_to(name, stated):
                raise IntegrityError(
                    f"{self.name}: layer {name!r:.100} is not the {stated or 'one'} that the config names",
                    remedy="save the image again",
                    kind="image.digest-mismatch",
                )
            self._names[digest] = name
            layers.append({"digest": str(digest), "size": size})
        config_digest = Digest.of(config)
        self._names[config_digest] = config_name
        document = {"config": {"digest": str(config_digest), "size": len(config)}, "layers": layers}
        content = json.dumps(document).encode()
        return Manifest(content, OCI_MANIFEST, Digest.of(content), synthetic=True)

    def _choose(self) -> dict[str, Any]:
        content = _read_small(self._shelf, "manifest.json") or b"[]"
        try:
            entries = [entry for entry in json.loads(content) if isinstance(entry, dict)]
        except (ValueError, TypeError) as cause:
            raise UncheckedError(
                f"{self.name}: its manifest.json is damaged",
                remedy="save the image again: docker save -o FILE IMAGE",
                kind="image.malformed",
            ) from cause
        wanted = self._reference
        matching = [e for e in entries if not wanted or any(wanted in _tag_names(t) for t in e.get("RepoTags") or [])]
        if len(matching) != 1:
            tags = ", ".join(str(tag) for entry in entries for tag in entry.get("RepoTags") or []) or "no tags"
            raise UncheckedError(
                f"{self.name}: {'no' if not matching else 'more than one'} image of that name; it holds {tags}",
                remedy=f"name one: docker-archive:{self._shelf.name}:NAME:TAG",
                kind="image.ambiguous",
            )
        return matching[0]

    def _measure(self, name: str) -> tuple[Digest, int]:
        file = self._shelf.open(name)
        if file is None:
            raise UncheckedError(
                f"{self.name} lacks its layer {name!r:.100}",
                remedy="save the image again: docker save -o FILE IMAGE",
                kind="image.incomplete-archive",
            )
        checksum, size = hashlib.sha256(), 0
        for chunk in _chunks(file):
            checksum.update(chunk)
            size += len(chunk)
        return Digest("sha256:" + checksum.hexdigest()), size

    def _unpacks_to(self, name: str, diff_id: str) -> bool:
        file = self._shelf.open(name)
        assert file is not None
        checksum = hashlib.sha256()
        for chunk in unpack(_chunks(file), f"layer {name} of {self.name}"):
            checksum.update(chunk)
        return f"sha256:{checksum.hexdigest()}" == diff_id


def walk_root(root: Path, problems: list[str]) -> Iterator[LayerEntry]:
    """Every file below an unpacked root folder, folders before what they hold, without mounted pseudo file systems.

    What cannot be read for lack of permission is added to `problems`.
    """
    pending = [""]
    unreadable = 0
    while pending:
        relative = pending.pop()
        try:
            children = sorted(os.scandir(root / relative), key=lambda child: child.name)
        except PermissionError:
            unreadable += 1
            continue
        for child in children:
            path = f"{relative}/{child.name}" if relative else child.name
            entry = _read_child(root, child, path)
            if entry is None:
                unreadable += 1
                continue
            yield entry
            if entry.kind == EntryKind.FOLDER and not _is_pseudo(root, path):
                pending.append(path)
    if unreadable:
        problems.append(f"{unreadable} files or folders that this user may not read")


def _read_child(root: Path, child: os.DirEntry[str], path: str) -> LayerEntry | None:
    try:
        status = child.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            return LayerEntry(path, EntryKind.SYMLINK, mode, os.readlink(root / path))  # noqa: PTH115  (bytes as they are)
        if stat.S_ISDIR(status.st_mode):
            return LayerEntry(path, EntryKind.FOLDER, mode)
        if not stat.S_ISREG(status.st_mode):
            return LayerEntry(path, EntryKind.FIFO if stat.S_ISFIFO(status.st_mode) else EntryKind.DEVICE, mode)
        return _read_file(root / path, path, mode, status.st_size)
    except FileNotFoundError:
        return LayerEntry(path, EntryKind.DEVICE, 0)  # gone while we looked
    except PermissionError:
        return None


def _read_file(place: Path, path: str, mode: int, size: int) -> LayerEntry:
    wanted = wanted_text_bytes(path)
    if size < 4 or place.is_symlink():
        return LayerEntry(path, EntryKind.FILE, mode)
    with place.open("rb") as file:
        if wanted:
            return LayerEntry(path, EntryKind.FILE, mode, content=file.read(wanted))
        head = file.read(256)
        if head[:4] == ELF_MAGIC:
            return LayerEntry(path, EntryKind.FILE, mode, elf=find_elf_facts(FileWindow(file, size)))
        return LayerEntry(path, EntryKind.FILE, mode, content=first_line(head) if mode & 0o111 else None)


def _is_pseudo(root: Path, path: str) -> bool:
    """/proc, /sys and /dev of a running system: not part of any image."""
    return path in ("proc", "sys", "dev") and (root / path).is_mount()


def _plain_file(path: Path) -> IO[bytes]:
    """The archive itself, or an unpacked copy of a compressed one that vanishes when it is closed."""
    file = path.open("rb")
    magic = file.read(6)
    file.seek(0)
    if not magic.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0")):
        return file
    copy = tempfile.TemporaryFile(prefix="hpcbake-")  # noqa: SIM115  (lives as long as the shelf)
    for chunk in unpack(_chunks(file), str(path)):
        copy.write(chunk)
    copy.seek(0)
    return copy


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _verified(file: IO[bytes], descriptor: Descriptor, name: str) -> Iterator[bytes]:
    checksum, received = hashlib.sha256(), 0
    for chunk in _chunks(file):
        checksum.update(chunk)
        received += len(chunk)
        yield chunk
    if checksum.hexdigest() != descriptor.digest.hex or received != descriptor.size:
        raise IntegrityError(
            f"blob of {name}: {descriptor.digest} expected, sha256:{checksum.hexdigest()} received "
            f"({received} of {descriptor.size} bytes)",
            remedy="write the layout or archive again",
            kind="image.digest-mismatch",
        )


def _read_small(shelf: Shelf, name: str) -> bytes | None:
    file = shelf.open(name)
    if file is None:
        return None
    with file:
        content = file.read(_MAX_JSON_BYTES + 1)
    if len(content) > _MAX_JSON_BYTES:
        raise UncheckedError(
            f"{name} of {shelf.name} is larger than {_MAX_JSON_BYTES} bytes",
            remedy="check that this is an image; if it is, save it again",
            kind="image.malformed",
        )
    return content


def _blob_name(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def _names(entry: Descriptor) -> set[str]:
    """Everything a descriptor may be called: its tag, its full name, its digest."""
    full = entry.annotations.get(_IMAGE_NAME, "")
    tag = entry.annotations.get(_REF_NAME, "")
    return {name for name in (str(entry.digest), tag, *_tag_names(full)) if name}


def _tag_names(full: str) -> set[str]:
    """`docker.io/library/app:1` may also be written `app:1` or `library/app:1`, or by its tag alone."""
    short = full.removeprefix("docker.io/")
    return {full, short, short.removeprefix("library/"), full.rpartition(":")[2]} - {""}


def _no_image(path: Path, why: str) -> UncheckedError:
    return UncheckedError(
        f"{path} holds no image: {why}",
        remedy="name an image reference, an OCI layout, a `docker save` archive, a SIF or an unpacked root folder",
        kind="image.not-an-image",
    )
