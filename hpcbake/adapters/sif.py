"""A SIF file as the source of a scan: its descriptors, the OCI config that apptainer keeps in it, its squashfs."""

from __future__ import annotations

import json
import os
import re
import shlex
import struct
from dataclasses import replace
from pathlib import Path
from typing import IO

from hpcbake.errors import IntegrityError, UncheckedError
from hpcbake.image.content import ContentEntry
from hpcbake.image.layer import LayerEntry, ScanLimits
from hpcbake.image.manifest import ImageConfig, parse_image_config
from hpcbake.image.scan import ScannedImage, scan_folder
from hpcbake.image.squashfs import Squashfs
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest

_LAUNCH_BYTES = 32
_MAGIC = b"SIF_MAGIC\0"
_HEADER = struct.Struct("<32s10s3s3s16sqqqqqqqq")
_DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
_MAX_DESCRIPTORS = 1024
_MAX_JSON_BYTES = 4 * 1024 * 1024
_PARTITION, _JSON = 0x4004, 0x4006
_SQUASHFS, _ENCRYPTED, _PRIMARY = 1, 4, 2
_ARCHITECTURES = {b"01": "386", b"02": "amd64", b"03": "arm", b"04": "arm64", b"06": "ppc64le", b"12": "s390x"}
_EXPORT = re.compile(r'^export ([A-Za-z_][A-Za-z0-9_]*)=(?:"(?:\$\{\1:-"?)?)?([^"}\n]*)', re.MULTILINE)


@dataclass(frozen=True)
class _Part:
    """One object of a SIF."""

    kind: int
    offset: int
    size: int
    name: str
    extra: bytes


def is_sif(path: Path) -> bool:
    """Whether the file starts as a SIF."""
    with path.open("rb") as file:
        return file.read(_LAUNCH_BYTES + len(_MAGIC))[_LAUNCH_BYTES:] == _MAGIC


def scan_sif(path: Path, limits: ScanLimits | None = None) -> ScannedImage:
    """Read the primary partition of a SIF.

    Raises IntegrityError for a damaged file, UncheckedError for an encrypted or otherwise unreadable one.
    """
    with path.open("rb") as file:
        parts = _read_parts(file, path)
        partition = _primary(parts, path)
        descriptor, start, size = file.fileno(), partition.offset, partition.size

        def read_at(offset: int, length: int) -> bytes:
            length = max(0, min(length, size - offset))
            return os.pread(descriptor, length, start + offset) if length else b""

        entries = list(Squashfs(read_at, str(path)).walk(limits or ScanLimits()))
        config = _config(file, parts, entries)
    architecture = _ARCHITECTURES.get(partition.extra[8:10], "")
    return scan_folder(str(path), iter(entries), replace(config, architecture=architecture, os="linux"), [])


def hash_sif(path: Path, limits: ScanLimits | None = None) -> dict[str, ContentEntry]:
    """The content of a SIF's primary partition, file by file.

    Raises IntegrityError for a damaged file, UncheckedError for an encrypted or otherwise unreadable one.
    """
    with path.open("rb") as file:
        partition = _primary(_read_parts(file, path), path)
        descriptor, start, size = file.fileno(), partition.offset, partition.size

        def read_at(offset: int, length: int) -> bytes:
            length = max(0, min(length, size - offset))
            return os.pread(descriptor, length, start + offset) if length else b""

        files = Squashfs(read_at, str(path)).hash_files(limits or ScanLimits())
    return {name: ContentEntry(*found) for name, found in files.items()}


def _read_parts(file: IO[bytes], path: Path) -> list[_Part]:
    total = os.fstat(file.fileno()).st_size
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or not head[_LAUNCH_BYTES:].startswith(_MAGIC):
        raise IntegrityError(f"{path} is no SIF file", remedy="build or pull it again", kind="image.damaged-sif")
    fields = _HEADER.unpack(head)
    count, table = fields[8], fields[9]
    parts = []
    for index in range(min(count, _MAX_DESCRIPTORS)):
        raw = os.pread(file.fileno(), _DESCRIPTOR.size, table + index * _DESCRIPTOR.size)
        if len(raw) < _DESCRIPTOR.size:
            raise IntegrityError(f"{path} is cut off", remedy="build or pull it again", kind="image.damaged-sif")
        kind, used, _, _, _, offset, size, _, _, _, _, _, name, extra = _DESCRIPTOR.unpack(raw)
        if not used:
            continue
        if offset < 0 or size < 0 or offset + size > total:
            raise IntegrityError(
                f"{path} is cut off: an object ends at {offset + size}, the file at {total}",
                remedy="build or pull it again",
                kind="image.damaged-sif",
            )
        parts.append(_Part(kind, offset, size, name.partition(b"\0")[0].decode("utf-8", "replace"), extra))
    return parts


def _primary(parts: list[_Part], path: Path) -> _Part:
    for part in parts:
        if part.kind == _PARTITION:
            system, role = struct.unpack_from("<ii", part.extra)
            if role == _PRIMARY and system == _SQUASHFS:
                return part
            if role == _PRIMARY:
                what = "encrypted" if system == _ENCRYPTED else f"of type {system}"
                raise UncheckedError(
                    f"{path}: its file system is {what}, not squashfs",
                    remedy="check the image it was made from",
                    kind="image.unreadable-sif",
                )
    raise UncheckedError(
        f"{path} holds no primary partition",
        remedy="check the image it was made from (an OCI-SIF keeps its layers in another form)",
        kind="image.unreadable-sif",
    )


def _config(file: IO[bytes], parts: list[_Part], entries: list[LayerEntry]) -> ImageConfig:
    """The OCI config that apptainer stored; for older files what its scripts say."""
    for part in parts:
        if part.kind == _JSON and part.name == "oci-config.json" and part.size <= _MAX_JSON_BYTES:
            content = os.pread(file.fileno(), part.size, part.offset)
            try:
                document = json.loads(content)
            except ValueError:
                break
            if isinstance(document, dict):
                wrapped = document if "config" in document else {"config": document}
                return parse_image_config(json.dumps(wrapped).encode(), Digest.of(content))
    return _config_of_scripts({entry.path: entry.content for entry in entries if entry.content is not None})


def _config_of_scripts(scripts: dict[str, bytes]) -> ImageConfig:
    """`10-docker2singularity.sh` exports the environment; the runscript holds Entrypoint and Cmd."""
    environment = scripts.get(".singularity.d/env/10-docker2singularity.sh", b"").decode("utf-8", "surrogateescape")
    run = scripts.get(".singularity.d/runscript", b"").decode("utf-8", "surrogateescape")
    return ImageConfig(
        env=tuple((match[1], match[2]) for match in _EXPORT.finditer(environment)),
        entrypoint=_words(run, "OCI_ENTRYPOINT"),
        command=_words(run, "OCI_CMD"),
    )


def _words(script: str, name: str) -> tuple[str, ...]:
    match = re.search(rf"^{name}='(.*)'$", script, re.MULTILINE)
    try:
        return tuple(shlex.split(match[1])) if match else ()
    except ValueError:
        return ()
