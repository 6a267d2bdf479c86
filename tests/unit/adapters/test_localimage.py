"""Images on this machine: layouts, archives, folders, and what is none of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from hpcbake.adapters.localimage import scan_local_image
from hpcbake.errors import HpcbakeError, IntegrityError, UncheckedError
from hpcbake.image.scan import ScannedImage
from tests.elf_builder import program
from tests.image_builder import Files, MemoryImage, make_layer

FILES: Files = {"bin/sh": program(), "etc/os-release": "ID=test\n"}


def write_layout(folder: Path, *images: tuple[str, MemoryImage]) -> Path:
    """An OCI layout with these images under these tags."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    entries = []
    for tag, image in images:
        for digest, content in {**image.blobs, **{d: m.content for d, m in image.manifests.items()}}.items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(content)
        entries.append(
            {
                "mediaType": image.top.media_type,
                "digest": str(image.top.digest),
                "size": len(image.top.content),
                "annotations": {
                    "org.opencontainers.image.ref.name": tag,
                    "io.containerd.image.name": f"docker.io/library/app:{tag}",
                },
            }
        )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def write_archive(path: Path, folder: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=".")
    return path


def write_docker_archive(
    path: Path, *layers: bytes, tags: tuple[str, ...] = ("app:1",), link_twins: bool = False
) -> Path:
    """An archive as `docker save` wrote it before it knew OCI layouts."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
    }
    content = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(content).hexdigest()}.json"
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": names}]
    with tarfile.open(path, "w") as archive:
        for number, (name, layer) in enumerate(zip(names, layers, strict=True)):
            if link_twins and number and layers[number] == layers[0]:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, "../0/layer.tar"
                archive.addfile(info)
            else:
                _add(archive, name, layer)
        _add(archive, config_name, content)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def scan(text: str | Path) -> ScannedImage:
    image = scan_local_image(str(text))
    assert image is not None
    return image


def test_layout_folder(tmp_path: Path) -> None:
    """A layout is read by its path, with or without a scheme, and by tag when it holds several images."""
    first, second = MemoryImage([make_layer(FILES)]), MemoryImage([make_layer({**FILES, "two": b""})])
    folder = write_layout(tmp_path / "one", ("1", first))
    assert (
        scan(folder).digest == scan(f"oci:{folder}").digest == scan(f"oci:{folder}:1").digest == str(first.top.digest)
    )
    both = write_layout(tmp_path / "both", ("1", first), ("2", second))
    assert scan(f"oci:{both}:2").digest == str(second.top.digest)
    assert scan(f"{both}:app:1").digest == str(first.top.digest)
    with pytest.raises(UncheckedError, match="more than one"):
        scan(both)
    with pytest.raises(UncheckedError, match="no image of that name"):
        scan(f"oci:{both}:3")
    (folder / "index.json").write_text('{"schemaVersion": 2, "manifests": []}')
    with pytest.raises(UncheckedError, match="lists none"):
        scan(folder)


def test_layout_with_an_index_inside(tmp_path: Path) -> None:
    """buildx writes an index with attestations: the platform's manifest is the image."""
    image = MemoryImage([make_layer(FILES)], index=[("linux", "amd64"), ("unknown", "unknown")])
    scanned = scan(write_layout(tmp_path / "l", ("1", image)))
    assert scanned.digest != str(image.top.digest)
    assert scanned.tree.find("/bin/sh") is not None


@pytest.mark.parametrize("compress", [False, True])
def test_layout_in_a_tar(tmp_path: Path, compress: bool) -> None:
    """`--output type=oci` writes a tar; a compressed one is unpacked first."""
    image = MemoryImage([make_layer(FILES)])
    path = write_archive(tmp_path / "image.tar", write_layout(tmp_path / "l", ("1", image)))
    if compress:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert scan(path).digest == str(image.top.digest)


def test_damaged_layout(tmp_path: Path) -> None:
    """A flipped blob and a missing one are integrity errors."""
    image = MemoryImage([make_layer(FILES)])
    layer = next(iter(image.blobs)).removeprefix("sha256:")
    folder = write_layout(tmp_path / "l", ("1", image))
    blob = folder / "blobs" / "sha256" / layer
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    with pytest.raises(IntegrityError):
        scan(folder)
    blob.unlink()
    with pytest.raises(IntegrityError, match="lacks blob"):
        scan(folder)


def test_docker_archive(tmp_path: Path) -> None:
    """Layers of an old archive are verified by the config's diff_ids; the digest is the image id."""
    layers = [make_layer(FILES, compress=False), make_layer({"opt/x": b""}, compress=False)]
    path = write_docker_archive(tmp_path / "save.tar", *layers)
    image = scan(path)
    assert image.tree.find("/opt/x") is not None
    with tarfile.open(path) as archive:
        assert f"{image.digest.removeprefix('sha256:')}.json" in archive.getnames()
    assert scan(f"docker-archive:{path}:app:1").digest == image.digest
    with pytest.raises(UncheckedError, match="app:1"):
        scan(f"docker-archive:{path}:other:1")


def test_docker_archive_with_linked_layers(tmp_path: Path) -> None:
    """Equal layers were stored once and linked."""
    layer = make_layer(FILES, compress=False)
    assert (
        scan(write_docker_archive(tmp_path / "s.tar", layer, layer, link_twins=True)).tree.find("/bin/sh") is not None
    )


def test_docker_archive_with_a_changed_layer(tmp_path: Path) -> None:
    """A layer that is not the config's is an integrity error."""
    path = write_docker_archive(tmp_path / "s.tar", make_layer(FILES, compress=False))
    content = bytearray(path.read_bytes())
    at = content.index(b"ID=test")
    content[at : at + 2] = b"XX"
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        scan(path)


def test_unpacked_root(tmp_path: Path) -> None:
    """A folder is an image of one layer without a digest; fifos and links are no trouble."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "app").write_bytes(program())
    (tmp_path / "bin" / "app").chmod(0o755)
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    image = scan(f"dir:{tmp_path}")
    app, script = image.tree.find_file("/bin/app"), image.tree.find_file("/run.sh")
    assert image.digest == "" and image.problems == ()
    assert app is not None and app[1].elf is not None
    assert script is not None and script[1].content == b"#!/bin/sh"


@pytest.mark.parametrize("text", ["registry.example.org/team/app:1", "app", "team/app@sha256:" + "0" * 64])
def test_references_are_left_to_the_registry(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no path here is no local image."""
    monkeypatch.chdir(tmp_path)
    assert scan_local_image(text) is None


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b\x08 broken", bytes(1024)])
def test_files_that_are_no_images(tmp_path: Path, content: bytes) -> None:
    """A path that exists and holds no image is told, never taken for compatible."""
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(HpcbakeError) as caught:
        scan(path)
    assert caught.value.exit_code in (31, 43)


def test_path_that_does_not_exist() -> None:
    """A scheme says that a path was meant."""
    with pytest.raises(UncheckedError, match="does not exist"):
        scan_local_image("oci:/no/such/path")


@pytest.mark.parametrize("text", ["/no/such/path", "./none", "../none.sif:tag", "~/none"])
def test_what_can_only_be_a_path(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No reference starts like this: the message speaks of the path."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UncheckedError, match="does not exist"):
        scan_local_image(text)


def test_folder_without_any_program(tmp_path: Path) -> None:
    """A folder of other things is no root folder: nothing in it could ever fail."""
    (tmp_path / "notes.txt").write_text("hello, world")
    with pytest.raises(UncheckedError, match="holds no image"):
        scan(tmp_path)
