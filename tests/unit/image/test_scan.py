"""Whole images: platforms, history, damage, limits, and the cache."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
from collections.abc import Iterator

import pytest
import zstandard

from hpcbake.errors import IntegrityError, RegistryError, UncheckedError
from hpcbake.image.layer import LayerFacts, ScanLimits
from hpcbake.image.manifest import OCI_INDEX, Descriptor, Manifest, detect_media_type, parse_index, select_platform
from hpcbake.image.scan import layer_instructions, readable_instruction, scan_image
from hpcbake.model.reference import Digest
from tests.elf_builder import program
from tests.image_builder import Files, MemoryImage, make_layer

FILES: Files = {"bin/sh": program(), "etc/os-release": "ID=test\n", "bin/run": "#!/bin/sh\n"}


class DictCache:
    """A cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, LayerFacts] = {}

    def load(self, key: str) -> LayerFacts | None:
        return self.kept.get(key)

    def store(self, key: str, facts: LayerFacts) -> None:
        self.kept[key] = facts


def test_scan_of_a_plain_manifest() -> None:
    """ELF facts, small files and first lines are there; the digest is the manifest's."""
    image = MemoryImage([make_layer(FILES)], {"Env": ["A=1", "A=2"], "Cmd": ["sh"]})
    scan = scan_image(image)
    assert scan.digest == str(image.top.digest)
    shell, release, script = (scan.tree.find_file(path) for path in ("/bin/sh", "/etc/os-release", "/bin/run"))
    assert shell is not None and shell[1].elf is not None
    assert release is not None and release[1].content == b"ID=test\n"
    assert script is not None and script[1].content == b"#!/bin/sh"
    assert (scan.config.variable("A"), scan.config.command) == ("2", ("sh",))


def test_zstd_and_plain_layers() -> None:
    """The magic number decides, not the media type."""
    raw = make_layer(FILES, compress=False)
    for layer in (raw, zstandard.ZstdCompressor().compress(raw)):
        assert scan_image(MemoryImage([layer])).tree.find("/bin/sh") is not None


def test_index_gives_the_platform_manifest() -> None:
    """The digest is that of the linux/amd64 manifest, not the index's; attestations are no platforms."""
    image = MemoryImage([make_layer(FILES)], index=[("unknown", "unknown"), ("linux", "amd64")])
    scan = scan_image(image)
    assert scan.digest != str(image.top.digest)
    assert scan.digest in image.manifests
    assert scan.platforms == ("linux/amd64",)


def test_an_index_inside_an_index() -> None:
    """The platform's image is found through indexes that list indexes, but not through ever more of them."""
    image = MemoryImage([make_layer(FILES)], index=[("linux", "amd64")])
    plain = scan_image(image)
    for _ in range(2):
        image.wrap()
    nested = scan_image(image)
    assert (nested.digest, nested.platforms) == (plain.digest, ("linux/amd64",))
    for _ in range(5):
        image.wrap()
    with pytest.raises(RegistryError, match="nested more than 4 deep"):
        scan_image(image)


def _index(*platforms: dict[str, str], **annotations: str) -> Manifest:

    entries = [
        {
            "mediaType": "m",
            "digest": f"sha256:{number:064x}",
            "size": 1,
            "platform": platform,
            "annotations": annotations,
        }
        for number, platform in enumerate(platforms)
    ]
    content = json.dumps({"manifests": entries}).encode()
    return Manifest(content, OCI_INDEX, Digest.of(content))


def test_platform_selection() -> None:
    """Plain amd64 before its variants; never another architecture; never an attestation."""
    arm, amd = {"os": "linux", "architecture": "arm64"}, {"os": "linux", "architecture": "amd64"}
    second = {**amd, "variant": "v2"}
    chosen = select_platform(_index(arm, second, amd))
    assert chosen is not None and chosen.platform == amd
    only_variant = select_platform(_index(arm, second))
    assert only_variant is not None and only_variant.platform == second
    assert select_platform(_index(arm)) is None
    assert select_platform(_index({"os": "windows", "architecture": "amd64"})) is None
    attested = _index(amd, **{"vnd.docker.reference.type": "attestation-manifest"})
    assert parse_index(attested) == ()


def test_index_without_any_image_is_unchecked() -> None:
    """Nothing to scan is not compatible."""

    class Empty(MemoryImage):
        def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
            return _index({"os": "unknown", "architecture": "unknown"})

    with pytest.raises(UncheckedError):
        scan_image(Empty([]))


def test_media_type_without_a_header() -> None:
    """Some registries send text/plain: the content tells."""
    assert detect_media_type({"manifests": []}, "text/plain") == OCI_INDEX
    assert detect_media_type({"layers": []}, "") != OCI_INDEX


@pytest.mark.parametrize("damage", ["cut", "flip", "no tar"])
def test_damaged_layers_are_never_fine(damage: str) -> None:
    """Damage inside a blob whose digest fits (pushed so) is an integrity error."""
    layer = make_layer(FILES)
    if damage == "cut":
        layer = layer[: len(layer) // 2]
    elif damage == "flip":
        middle = len(layer) // 2
        layer = layer[:middle] + bytes(byte ^ 0xFF for byte in layer[middle : middle + 40]) + layer[middle + 40 :]
    else:
        layer = gzip.compress(b"no tar archive" * 100)
    with pytest.raises(IntegrityError):
        scan_image(MemoryImage([layer]))


def test_wrong_bytes_are_fetched_once_more() -> None:
    """A blob that is wrong the first time and right the second is fine."""

    class Flaky(MemoryImage):
        def open_blob(self, descriptor):  # type: ignore[no-untyped-def]
            content = b"".join(super().open_blob(descriptor))
            if "tar" in descriptor.media_type and self.opened.count(str(descriptor.digest)) == 1:
                yield content[:100]
                raise IntegrityError("wrong bytes")
            yield content

    assert scan_image(Flaky([make_layer(FILES)])).tree.find("/bin/sh") is not None


def test_cached_layers_are_not_read_again() -> None:
    """The second image with the same base reads only what is new, and sees the same."""
    base, top = make_layer(FILES), make_layer({"opt/x": program()})
    cache = DictCache()
    first = scan_image(MemoryImage([base]), cache=cache)
    image = MemoryImage([base, top])
    second = scan_image(image, cache=cache)
    assert str(Digest.of(base)) not in image.opened
    assert {path for path, _ in first.tree.walk()} < {path for path, _ in second.tree.walk()}


def test_same_layer_twice_is_read_once() -> None:
    """An image may list one blob several times."""
    layer = make_layer(FILES)
    image = MemoryImage([layer, layer])
    scan_image(image)
    assert image.opened.count(str(Digest.of(layer))) == 1


def test_tables_out_of_reach_cost_a_second_pass() -> None:
    """A large ELF file with its tables far inside is read whole the second time."""
    big = program(constants=bytes(17 * 1024 * 1024), gap=1_500_000)
    image = MemoryImage([make_layer({"bin/big": big})])
    found = scan_image(image).tree.find_file("/bin/big")
    assert found is not None and found[1].elf is not None
    assert found[1].elf.needed == ("libc.so.6",)


def test_history_names_the_instruction_of_each_layer() -> None:
    """Empty layers are skipped; a history that does not match says nothing rather than something wrong."""
    from hpcbake.image.manifest import HistoryEntry, ImageConfig

    lines = (HistoryEntry("ADD base", False), HistoryEntry("ENV A=1", True), HistoryEntry("RUN make", False))
    assert layer_instructions(ImageConfig(history=lines), 2) == ["ADD base", "RUN make"]
    assert layer_instructions(ImageConfig(history=lines), 3) == ["", "", ""]


@pytest.mark.parametrize(
    ("created_by", "readable"),
    [
        ("COPY /app /usr/local/bin/app # buildkit", "COPY /app /usr/local/bin/app"),
        ("RUN /bin/sh -c pip install x # buildkit", "RUN pip install x"),
        ("/bin/sh -c apt-get   install gcc", "RUN apt-get install gcc"),
        ("/bin/sh -c #(nop) COPY file:abc in / ", "COPY file:abc in /"),
        ("RUN |1 A=b /bin/sh -c make # buildkit", "RUN |1 A=b /bin/sh -c make"),
        ("", ""),
    ],
)
def test_instructions_as_in_the_dockerfile(created_by: str, readable: str) -> None:
    """BuildKit's and the classic builder's spelling."""
    assert readable_instruction(created_by) == readable


# ---- hostile layers -------------------------------------------------------------------------------------------------


def test_device_nodes_fifos_and_traversal() -> None:
    """They are facts like others; nothing is made of them."""
    members: Files = {}
    for name, kind in (("dev/sda", tarfile.BLKTYPE), ("dev/tty", tarfile.CHRTYPE), ("run/fifo", tarfile.FIFOTYPE)):
        info = tarfile.TarInfo(name)
        info.type = kind
        members = {**members, name: info}
    image = MemoryImage([make_layer({**members, "../../../etc/cron.d/evil": b"x", "/abs": b"y"})])
    scan = scan_image(image)
    assert scan.tree.find("/etc/cron.d/evil") is not None
    assert scan.tree.find("/abs") is not None
    assert any(".." in problem for problem in scan.problems)


def test_overlong_names_are_left_out_and_told() -> None:
    """A path that no system can open is a problem, not a path."""
    scan = scan_image(MemoryImage([make_layer({"d/" * 3000 + "x": b"1", "fine": b"2"})]))
    assert scan.tree.find("/fine") is not None
    assert any("longer than a path" in problem for problem in scan.problems)


def test_too_many_entries_reach_a_limit() -> None:
    """The limit is named, and what was seen is not taken for all."""
    layer = make_layer({f"f{number}": b"" for number in range(50)})
    scan = scan_image(MemoryImage([layer]), limits=ScanLimits(entries=20))
    assert any("limit entries" in problem for problem in scan.problems)


def test_too_much_content_reaches_a_limit() -> None:
    """A layer of zeros ends at the limit, quickly and in little memory."""
    buffer = io.BytesIO()
    info = tarfile.TarInfo("zeros")
    info.size = 48 * 1024 * 1024
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(info.tobuf())
        for _ in range(48):
            file.write(bytes(1024 * 1024))
        file.write(bytes(1024))
    started = time.perf_counter()
    scan = scan_image(MemoryImage([buffer.getvalue()]), limits=ScanLimits(layer_bytes=16 * 1024 * 1024))
    assert any("limit layer_bytes" in problem for problem in scan.problems)
    assert time.perf_counter() - started < 5


LAYER_TYPES = {
    "application/vnd.oci.image.layer.v1.tar+gzip": "",
    "application/vnd.oci.image.layer.v1.tar+zstd": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "",
    "": "",
    "application/vnd.oci.image.layer.v1.tar+gzip+encrypted": "encrypted",
    "application/vnd.in-toto+json": "no file system layer",
    "application/vnd.wasm.content.layer.v1+wasm": "no file system layer",
}


@pytest.mark.parametrize("media_type", LAYER_TYPES)
def test_layers_that_hold_no_files(media_type: str) -> None:
    """Encrypted layers and other blobs leave the image unread, and say why; they are not damage."""
    image = MemoryImage([make_layer(FILES)])
    content = image.top.content.replace(b"application/vnd.oci.image.layer.v1.tar+gzip", media_type.encode())
    image.top = Manifest(content, image.top.media_type, Digest.of(content))
    problems = " ".join(scan_image(image).problems)
    assert (LAYER_TYPES[media_type] in problems) if LAYER_TYPES[media_type] else not problems


def test_foreign_layers_that_the_registry_lacks() -> None:
    """Old Windows images keep a layer elsewhere: unread, not an error of the registry."""

    class Lacking(MemoryImage):
        def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
            if "foreign" in descriptor.media_type:
                raise RegistryError("registry.example.org has no blob")
            return super().open_blob(descriptor)

    image = Lacking([make_layer(FILES)])
    foreign = b"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    content = image.top.content.replace(b"application/vnd.oci.image.layer.v1.tar+gzip", foreign)
    image.top = Manifest(content, image.top.media_type, Digest.of(content))
    assert any("foreign layer" in problem for problem in scan_image(image).problems)


def test_artifacts_are_no_images() -> None:
    """A SIF pushed as an artifact cannot be judged as an image."""
    image = MemoryImage([make_layer(FILES)])
    content = image.top.content.replace(b"oci.image.config.v1+json", b"sylabs.sif.config.v1+json")
    manifest = Manifest(content, image.top.media_type, Digest.of(content))
    image.top = manifest
    with pytest.raises(UncheckedError, match="artifact"):
        scan_image(image)
