"""How fast, and in how little memory, `hpcbake check` reads an image of about 1 GB made of real wheels.

    python benchmarks/check_scan.py [--folder DIR] [--baseline]

With --baseline also what people do by hand: `docker save | tar -x`, then readelf, through the engine that DOCKER_HOST
names (left out when there is none).

Downloads the wheels once, makes the same two layers in gzip and zstd, serves them from a registry process on the
loopback address, and measures each step in a process of its own: CPU time (of the measuring process only), wall time,
peak memory. CPU time is what to compare on a shared machine: unpacking alone and the check take turns, and the least of
each counts. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import io
import json
import multiprocessing
import os
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

#: Real HPC stacks; together about 1.2 GB unpacked, four fifths of it ELF.
WHEELS = (
    *("numpy", "scipy", "pandas", "pyarrow", "llvmlite", "opencv-python-headless", "duckdb", "scikit-learn"),
    *("matplotlib", "h5py", "pillow", "lxml", "grpcio", "cryptography", "pymupdf", "shapely", "ray"),
)
SITE_PACKAGES = "opt/venv/lib/python3.11/site-packages"
#: What a check loads, before the clock runs.
IMPORTED = (
    *("hpcbake.adapters.factcache", "hpcbake.adapters.imagesource", "hpcbake.adapters.registry"),
    *("hpcbake.check.judge", "hpcbake.image.scan", "hpcbake.model.reference", "hpcbake.model.site"),
    *("isal.isal_zlib", "zstandard"),
)
TARGETS = {"cpu_ratio": 1.35, "peak_mib": 150.0, "warm_s": 0.5, "reader_speedup": 20.0, "baseline_speedup": 5.0}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "hpcbake-bench")
    options.add_argument("--wheels", type=Path, help="folder with wheels to use instead of downloading")
    options.add_argument("--runs", type=int, default=3, help="best of so many")
    options.add_argument("--baseline", action="store_true", help="also measure docker save, tar -x and readelf (slow)")
    args = options.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    layers = prepare(args.folder, args.wheels)
    result: dict[str, Any] = {
        "kind": "hpcbake.benchmark.check",
        "version": 1,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
        "unpacked_mib": round(layers["plain_bytes"] / 2**20, 1),
    }
    for form in ("gzip", "zstd"):
        result[form] = measure_form(layers[form], args.runs)
    result["reader"] = best([measured(measure_reader, layers["plain"]) for _ in range(args.runs)])
    if args.baseline:
        result["baseline"] = measure_baseline(layers["plain"])
    result["verdict"] = verdict(result)
    print(json.dumps(result, indent=2))


def prepare(folder: Path, wheels: Path | None) -> dict[str, Any]:
    """The layers on disk, made once: plain, gzip level 6 and zstd level 3."""
    import zstandard

    wheels = wheels or folder / "wheels"
    if not wheels.is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", wheels, *WHEELS],
            check=True,
        )
    plain = [folder / "layer0.tar", folder / "layer1.tar"]
    if not all(path.exists() for path in plain):
        for number, path in enumerate(plain):
            write_layer(path, sorted(wheels.glob("*.whl"), key=lambda wheel: wheel.stat().st_size)[number::2])
    made: dict[str, Any] = {"plain": plain, "plain_bytes": sum(path.stat().st_size for path in plain)}
    for form, suffix in (("gzip", ".gz"), ("zstd", ".zst")):
        made[form] = [path.with_suffix(f".tar{suffix}") for path in plain]
        for source, target in zip(plain, made[form], strict=True):
            if target.exists():
                continue
            with source.open("rb") as file, target.open("wb") as out:
                if form == "gzip":
                    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed:
                        shutil.copyfileobj(file, packed, 1 << 20)
                else:
                    zstandard.ZstdCompressor(level=3).copy_stream(file, out)
    return made


def write_layer(path: Path, wheels: list[Path]) -> None:
    with tarfile.open(path, "w") as archive:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as content:
                for member in content.infolist():
                    if member.is_dir():  # some wheels list folders, too: tar would make files of them
                        continue
                    info = tarfile.TarInfo(f"{SITE_PACKAGES}/{member.filename}")
                    data = content.read(member)
                    info.size, info.mode = len(data), 0o755
                    archive.addfile(info, io.BytesIO(data))


# ---- what is measured -----------------------------------------------------------------------------------------------


def measure_form(layers: list[Path], runs: int) -> dict[str, Any]:
    """Decompression alone and the whole check, in turns; then the check warm, for one compression."""
    with serving(layers) as (host, digest), tempfile.TemporaryDirectory() as cache:
        pairs = [(measured(run_decompress, layers), measured(run_check, host, digest, None)) for _ in range(runs)]
        measured(run_check, host, digest, cache)
        warm = best([measured(run_check, host, digest, cache) for _ in range(runs)])
    decompress, cold = best([first for first, _ in pairs]), best([second for _, second in pairs])
    return {
        "compressed_mib": round(sum(path.stat().st_size for path in layers) / 2**20, 1),
        "decompress": decompress,
        "cold": cold,
        "warm": warm,
        "cpu_ratio": round(cold["cpu_s"] / decompress["cpu_s"], 2),
        "cpu_ratio_of_each_turn": sorted(round(second["cpu_s"] / first["cpu_s"], 2) for first, second in pairs),
    }


def run_decompress(layers: list[Path]) -> dict[str, float]:
    """The floor: isal or zstandard over the same bytes, nothing else."""
    import zstandard
    from isal import isal_zlib

    for path in layers:
        with path.open("rb") as file:
            if path.suffix == ".gz":
                engine = isal_zlib.decompressobj(31)
                while chunk := file.read(1 << 20):
                    engine.decompress(chunk)
            else:
                reader = zstandard.ZstdDecompressor().stream_reader(file)
                while reader.read(1 << 20):
                    pass
    return {}


def run_check(host: str, digest: str, cache: str | None) -> dict[str, float]:
    """From the registry to the verdict: fetch, verify, unpack, read, merge, judge."""
    from hpcbake.adapters.factcache import FolderFactCache
    from hpcbake.adapters.imagesource import RegistrySource
    from hpcbake.adapters.registry import RegistryClient
    from hpcbake.check.judge import judge
    from hpcbake.image.scan import scan_image
    from hpcbake.model.reference import parse_image_reference
    from hpcbake.model.site import Login, Site, Store

    started = time.perf_counter()
    source = RegistrySource(RegistryClient(), parse_image_reference(f"{host}/bench/app@{digest}"))
    image = scan_image(source, cache=FolderFactCache(Path(cache)) if cache else None)
    report = judge(image, Site("bench", Login("x"), Store("/x")))
    return {
        "check_s": round(time.perf_counter() - started, 3),
        "files": sum(1 for _ in image.tree.walk()),
        "findings": len(report.findings),
    }


def measure_reader(layers: list[Path]) -> dict[str, float]:
    """Our ELF reader, then pyelftools, over the same files in memory: one pass each, as either would be used."""
    from hpcbake.elf import BytesWindow, find_elf_facts

    own = [timed(find_elf_facts, BytesWindow(content)) for content in elf_files(layers)]
    other = [timed(read_with_pyelftools, content) for content in elf_files(layers)]
    return {
        "files": len(own),
        "own_s": round(sum(own), 3),
        "pyelftools_s": round(sum(other), 3),
        "speedup": round(sum(other) / sum(own), 1),
    }


def elf_files(layers: list[Path]) -> Iterator[bytes]:
    for path in layers:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                content = file.read() if file else b""
                if content[:4] == b"\x7fELF" and len(content) <= 64 << 20:
                    yield content


def timed(work: Callable[..., object], *args: object) -> float:
    started = time.process_time()
    work(*args)
    return time.process_time() - started


def read_with_pyelftools(content: bytes) -> None:
    """The same facts: segments, dynamic section, versions."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

    elf = ELFFile(io.BytesIO(content))
    for segment in elf.iter_segments():
        if segment.header.p_type == "PT_DYNAMIC":
            list(segment.iter_tags())
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection | GNUVerDefSection):
            for _, versions in section.iter_versions():
                list(versions)


def measure_baseline(layers: list[Path]) -> dict[str, Any]:
    """What people do by hand: `docker save | tar -x`, the layers unpacked, then readelf on every ELF file.

    The engine's own CPU time is not seen from here: wall time is compared as well as the CPU time of what runs here.
    """
    if not shutil.which("docker") or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        return {"left_out": "no docker engine answers"}
    name = "hpcbake-benchmark:check-scan"
    with tempfile.TemporaryDirectory(dir=layers[0].parent) as folder:
        try:
            load_image(name, layers, Path(folder))
            started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(["sh", "-ec", BY_HAND, folder, name], check=True)
            wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        finally:
            subprocess.run(["docker", "rmi", "-f", name], capture_output=True, check=False)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}


#: In the folder $0, the image $1.
BY_HAND = r"""
cd "$0" && mkdir archive root
docker save "$1" | tar -C archive -xf -
# A layer is a tar archive, packed or not, under a name that depends on the engine.
for layer in $(find archive -type f -size +1M); do tar -C root -xf "$layer"; done
find root -type f -size +3c -exec sh -c '
  for file; do test "$(head -c 4 "$file" | tail -c 3)" = ELF && echo "$file"; done' sh {} + > files || :
xargs readelf -dV < files > versions 2> /dev/null || :
test -s versions
"""


def load_image(name: str, layers: list[Path], folder: Path) -> None:
    """Give the engine an image of these layers, as a `docker save` archive."""
    archive = folder / "image.tar"
    digests = [sha256_of(path) for path in layers]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    ).encode()
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(archive, "w") as tar:
        for member, content in (("config.json", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for member, path in zip(names, layers, strict=True):
            tar.add(path, arcname=member)
    with archive.open("rb") as file:
        subprocess.run(["docker", "load", "-q"], stdin=file, stdout=subprocess.DEVNULL, check=True)
    archive.unlink()


def sha256_of(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            checksum.update(chunk)
    return checksum.hexdigest()


# ---- how it is measured ---------------------------------------------------------------------------------------------


def best(results: list[dict[str, float]]) -> dict[str, float]:
    """The run with the least CPU time, each in a fresh process; peak memory is the largest seen."""
    chosen = min(results, key=lambda result: result["cpu_s"])
    return {**chosen, "peak_mib": max(result["peak_mib"] for result in results)}


def measured(work: Callable[..., dict[str, float]], *args: Any) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, work, args))
    process.start()
    sender.close()
    try:
        result: dict[str, float] = receiver.recv()
    finally:
        process.join()
    return result


def _measure(sender: Any, work: Callable[..., dict[str, float]], args: tuple[Any, ...]) -> None:
    # Starting Python and importing is not what is measured.
    for module in IMPORTED:
        importlib.import_module(module)
    started, cpu = time.perf_counter(), time.process_time()
    extra = work(*args)
    # Not ru_maxrss: a child inherits that of the process it was started from.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    sender.send(
        {
            "cpu_s": round(time.process_time() - cpu, 3),
            "wall_s": round(time.perf_counter() - started, 3),
            "peak_mib": round(peak, 1),
            **extra,
        }
    )


@contextmanager
def serving(layers: list[Path]) -> Iterator[tuple[str, str]]:
    """A registry in a process of its own that holds an image of these layers: its host and the manifest's digest."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, layers), daemon=True)
    process.start()
    try:
        yield receiver.recv()
    finally:
        process.terminate()
        process.join()


def _serve(sender: Any, layers: list[Path]) -> None:
    from tests.fake_registry import running_registry

    with running_registry() as registry:
        blobs = [path.read_bytes() for path in layers]
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}}).encode()
        document = {
            "schemaVersion": 2,
            "config": {"digest": str(registry.add_blob(config)), "size": len(config)},
            "layers": [{"digest": str(registry.add_blob(blob)), "size": len(blob)} for blob in blobs],
        }
        digest = registry.add_manifest(document, repository="bench/app")
        sender.send((registry.host, str(digest)))
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(1)


def verdict(result: dict[str, Any]) -> dict[str, bool]:
    """Each target, met or not."""
    met = {}
    for form in ("gzip", "zstd"):
        met[f"{form} cpu ratio <= {TARGETS['cpu_ratio']}"] = result[form]["cpu_ratio"] <= TARGETS["cpu_ratio"]
        met[f"{form} peak <= {TARGETS['peak_mib']} MiB"] = result[form]["cold"]["peak_mib"] <= TARGETS["peak_mib"]
        met[f"{form} warm <= {TARGETS['warm_s']} s CPU"] = result[form]["warm"]["cpu_s"] <= TARGETS["warm_s"]
    met[f"reader >= {TARGETS['reader_speedup']} x pyelftools"] = (
        result["reader"]["speedup"] >= TARGETS["reader_speedup"]
    )
    if "wall_s" in result.get("baseline", {}):
        speedup = result["baseline"]["wall_s"] / result["gzip"]["cold"]["wall_s"]
        met[f"check >= {TARGETS['baseline_speedup']} x docker save, tar, readelf ({speedup:.1f})"] = (
            speedup >= TARGETS["baseline_speedup"]
        )
    return met


if __name__ == "__main__":
    main()
