"""A whole image: from a source of blobs to one merged file system with the ELF facts of every binary in it."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import field
from typing import Protocol

from hpcbake.elf import READER_VERSION
from hpcbake.errors import IntegrityError, RegistryError, UncheckedError
from hpcbake.image.layer import LayerEntry, LayerFacts, MissedFilesError, ScanLimits, TooMuchError, read_layer
from hpcbake.image.manifest import (
    Descriptor,
    ImageConfig,
    Manifest,
    descend,
    parse_image_config,
    parse_index,
    parse_layers,
    select_platform,
    verify_bytes,
)
from hpcbake.image.stream import unpack
from hpcbake.image.tree import Tree
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest

#: Part of every cache key: raise it whenever the same layer would give other facts.
LAYER_FORMAT = 1
_MAX_CONFIG_BYTES = 8 * 1024 * 1024


class BlobSource(Protocol):
    """Where an image comes from: a registry, an OCI layout, an archive."""

    @property
    def name(self) -> str:
        """What the user called the image."""
        ...

    def fetch_manifest(self, digest: Digest | None = None) -> Manifest:
        """The manifest or index that the image's name stands for, or the one with this digest."""
        ...

    def open_blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """A blob's bytes; raises IntegrityError at the end unless they were what the descriptor says."""
        ...


class FactCache(Protocol):
    """Keeps layer facts between runs."""

    def load(self, key: str) -> LayerFacts | None: ...

    def store(self, key: str, facts: LayerFacts) -> None: ...


@dataclass(frozen=True)
class Layer:
    """One layer of a scanned image, and the line of the image's history that made it (empty when unknown)."""

    number: int  # 1 is the lowest
    digest: str
    size: int
    instruction: str = ""

    def __str__(self) -> str:
        return f"layer {self.number}: {self.instruction}" if self.instruction else f"layer {self.number}"


@dataclass(frozen=True)
class ScannedImage:
    """Everything that the check looks at. `digest` is the platform manifest's (an image id for docker archives)."""

    name: str
    digest: str
    config: ImageConfig
    tree: Tree
    layers: tuple[Layer, ...] = ()
    #: What could not be read: never taken for fine.
    problems: tuple[str, ...] = ()
    #: The platforms that an index offered.
    platforms: tuple[str, ...] = ()
    #: Compressed bytes as stored, and unpacked bytes of all files in all layers.
    size: int = 0
    unpacked_size: int = 0
    facts: dict[str, object] = field(default_factory=dict)

    def origin(self, layer: int) -> str:
        """How a file came in, for people: `layer 5: COPY /opt/venv /opt/venv`; empty for what has no layers."""
        known = 0 <= layer < len(self.layers) and self.layers[layer].digest
        return str(self.layers[layer]) if known else ""


def scan_image(
    source: BlobSource,
    *,
    cache: FactCache | None = None,
    platform: str = "linux/amd64",
    limits: ScanLimits | None = None,
    threads: int | None = None,
) -> ScannedImage:
    """Read every layer of the image that a machine of `platform` would run.

    When an index has no such platform its first one is scanned: the check then reports the wrong architecture.
    Raises IntegrityError for bytes that are not what their digest says or layers that are damaged, UncheckedError for
    something that is no image, and what the source raises.
    """
    limits = limits or ScanLimits()
    platforms: tuple[str, ...] = ()

    def choose(index: Manifest) -> Descriptor:
        nonlocal platforms
        platforms = tuple(entry.platform_name for entry in parse_index(index))
        return _chosen(index, platform, source.name)

    manifest = descend(source.fetch_manifest(), choose, source.fetch_manifest)
    config_descriptor, layer_descriptors = parse_layers(manifest)
    config = _fetch_config(source, config_descriptor)
    with _uncollected():
        facts = _read_layers(source, layer_descriptors, cache, limits, threads)
        return merge_layers(
            source.name,
            str(config_descriptor.digest if manifest.synthetic else manifest.digest),
            config,
            [(str(descriptor.digest), descriptor.size) for descriptor in layer_descriptors],
            facts,
            platforms,
            limits,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cyclic garbage: a scan makes many values and no cycles. With scans side by side, the first to end
    switches the search on again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def scan_folder(name: str, entries: Iterator[LayerEntry], config: ImageConfig, problems: list[str]) -> ScannedImage:
    """An unpacked root folder as an image of one layer without a digest."""
    facts = LayerFacts(entries=list(entries), problems=problems)
    return merge_layers(name, "", config, [("", 0)], [facts], (), ScanLimits())


def merge_layers(
    name: str,
    digest: str,
    config: ImageConfig,
    descriptions: list[tuple[str, int]],
    facts: list[LayerFacts],
    platforms: tuple[str, ...],
    limits: ScanLimits,
) -> ScannedImage:
    """Lay the layers over one another, and the history beside them."""
    tree = Tree()
    problems: list[str] = []
    if sum(len(layer.entries) for layer in facts) > limits.entries:
        problems.append(f"limit entries reached: more than {limits.entries} files")
    else:
        for number, layer_facts in enumerate(facts):
            tree.add_layer(layer_facts, number)
    instructions = layer_instructions(config, len(facts))
    layers = tuple(
        Layer(number + 1, layer_digest, size, instructions[number])
        for number, (layer_digest, size) in enumerate(descriptions)
    )
    for layer, layer_facts in zip(layers, facts, strict=True):
        problems += [f"{layer}: {problem}" for problem in layer_facts.problems]
    return ScannedImage(
        name=name,
        digest=digest,
        config=config,
        tree=tree,
        layers=layers,
        problems=tuple(problems + tree.problems[:100]),
        platforms=platforms,
        size=sum(size for _, size in descriptions),
        unpacked_size=sum(layer_facts.size for layer_facts in facts),
    )


def layer_instructions(config: ImageConfig, count: int) -> list[str]:
    """The history line of each layer; all empty when history and layers do not match up."""
    made = [readable_instruction(entry.created_by) for entry in config.history if not entry.empty_layer]
    return made if len(made) == count else [""] * count


def readable_instruction(created_by: str) -> str:
    """`/bin/sh -c #(nop) COPY file:… in /x ` and `RUN /bin/sh -c make # buildkit` as they stood in the Dockerfile."""
    text = " ".join(created_by.split()).removesuffix("# buildkit").rstrip()
    shell = "/bin/sh -c "
    if text.startswith(shell + "#(nop) "):
        return text.removeprefix(shell + "#(nop) ").strip()
    if text.startswith(shell):
        return "RUN " + text.removeprefix(shell)
    return text.replace("RUN " + shell, "RUN ", 1)


def _chosen(index: Manifest, platform: str, name: str) -> Descriptor:
    chosen = select_platform(index, platform) or next(iter(parse_index(index)), None)
    if chosen is None:
        raise UncheckedError(
            f"{name}: the index {index.digest} lists no image at all",
            remedy="build and push it again",
            kind="image.no-platform",
        )
    return chosen


def _fetch_config(source: BlobSource, descriptor: Descriptor) -> ImageConfig:
    if descriptor.size > _MAX_CONFIG_BYTES:
        raise UncheckedError(
            f"{source.name}: its config claims {descriptor.size} bytes",
            remedy="build and push the image again",
            kind="image.malformed",
        )
    if "sylabs.sif" in descriptor.media_type or descriptor.media_type == "application/vnd.oci.empty.v1+json":
        raise UncheckedError(
            f"{source.name} is an OCI artifact ({descriptor.media_type}), not a container image",
            remedy="name the image that it was made from",
            kind="image.artifact",
        )
    try:
        content = b"".join(source.open_blob(descriptor))
    except IntegrityError:
        content = b"".join(source.open_blob(descriptor))  # wrong bytes are fetched once more, as with layers
    verify_bytes(content, descriptor.digest, f"config of {source.name}")
    return parse_image_config(content, descriptor.digest)


def _read_layers(
    source: BlobSource,
    descriptors: tuple[Descriptor, ...],
    cache: FactCache | None,
    limits: ScanLimits,
    threads: int | None,
) -> list[LayerFacts]:
    """One thread per layer, the largest first: decompression and checksums run outside the interpreter's lock."""
    stop = threading.Event()
    by_size = sorted({one.digest: one for one in descriptors}.values(), key=lambda descriptor: -descriptor.size)
    # One processor is left to whatever else the machine does: a registry, a build.
    workers = threads or max(1, min(4, (os.cpu_count() or 2) - 1, len(by_size)))
    with ThreadPoolExecutor(workers, thread_name_prefix="layer") as pool:
        try:
            tasks = {one.digest: pool.submit(_read_one, source, one, cache, limits, stop) for one in by_size}
            return [tasks[one.digest].result() for one in descriptors]
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read_one(
    source: BlobSource, descriptor: Descriptor, cache: FactCache | None, limits: ScanLimits, stop: threading.Event
) -> LayerFacts:
    key = f"{descriptor.digest.hex}-{READER_VERSION}.{LAYER_FORMAT}"
    known = cache.load(key) if cache else None
    if known is not None:
        return known
    no_layer = why_no_layer(descriptor.media_type)
    if no_layer:
        return LayerFacts(problems=[no_layer])
    try:
        facts = _stream_layer(source, descriptor, limits, stop)
    except TooMuchError as cause:
        return LayerFacts(problems=[str(cause)])
    except RegistryError as cause:
        if not _is_kept_elsewhere(descriptor.media_type):
            raise
        return LayerFacts(problems=[f"it is kept outside of the registry (a foreign layer): {cause.message}"])
    if cache:
        cache.store(key, facts)
    return facts


def why_no_layer(media_type: str) -> str:
    """Why a blob of this type cannot be read as files; empty for layers. What states no type is tried."""
    if media_type.endswith("+encrypted"):
        return "it is encrypted"
    if media_type and "tar" not in media_type and "octet-stream" not in media_type:
        return f"it is no file system layer but {media_type}"
    return ""


def _is_kept_elsewhere(media_type: str) -> bool:
    return ".foreign." in media_type or ".nondistributable." in media_type


def _stream_layer(source: BlobSource, descriptor: Descriptor, limits: ScanLimits, stop: threading.Event) -> LayerFacts:
    """Bytes that turn out wrong are fetched once more; files that the window missed are read whole the second time."""
    whole: frozenset[str] = frozenset()
    damages = 0
    while True:
        try:
            return _stream_once(source, descriptor, limits, whole, stop)
        except MissedFilesError as missed:
            whole |= missed.names
        except IntegrityError:
            damages += 1
            if damages > 1 or stop.is_set():
                raise


def _stream_once(
    source: BlobSource, descriptor: Descriptor, limits: ScanLimits, whole: frozenset[str], stop: threading.Event
) -> LayerFacts:
    what = f"layer {descriptor.digest} of {source.name}"
    chunks = _stoppable(source.open_blob(descriptor), stop)
    try:
        facts = read_layer(unpack(chunks, what), what, limits, whole)
    except (IntegrityError, MissedFilesError):
        # If the bytes are not the digest's, that is the better explanation: let the source say so.
        _use_up(chunks)
        raise
    _use_up(chunks)
    return facts


def _use_up(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def _stoppable(chunks: Iterator[bytes], stop: threading.Event) -> Iterator[bytes]:
    for chunk in chunks:
        if stop.is_set():
            raise UncheckedError("stopped", remedy="run the same command again", kind="image.stopped")
        yield chunk
