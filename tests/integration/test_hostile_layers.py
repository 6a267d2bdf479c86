"""Layers made to hurt, at full size: each in a process of its own whose memory and CPU time the kernel bounds."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MIB = 2**20
#: What each layer may cost: address space and CPU seconds. They are generous; without a bound each would cost far more.
MEMORY, SECONDS = 1024 * MIB, 600

_PRELUDE = """
    import gzip, io, resource, sys, tarfile
    import zstandard
    from hpcbake.check.judge import judge
    from hpcbake.image.layer import ScanLimits
    from hpcbake.image.scan import scan_image
    from tests.image_builder import MemoryImage, make_layer
    from tests.unit.check.bases import el8, site

    LIMITS = ScanLimits()

    def entry(name, size=0, **values):
        info = tarfile.TarInfo(name)
        info.size = size
        for key, value in values.items():
            setattr(info, key, value)
        return info.tobuf(format=tarfile.GNU_FORMAT)

    def many(count):
        # headers of empty files, made faster than tarfile makes them
        start = entry("d000/f0000000")
        rest, total = start[13:148], sum(start[13:148]) + sum(start[156:]) + 8 * 32
        for number in range(count):
            name = b"d%03d/f%07d" % (number % 1000, number)
            yield name + rest + b"%06o\\0 " % (total + sum(name)) + start[156:]

    def packed(parts):
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
            for part in parts:
                file.write(part)
            file.write(bytes(1024))
        return buffer.getvalue()
"""
_JUDGE = """
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)
    image = scan_image(MemoryImage([make_layer(el8()), LAYER]), limits=LIMITS)
    print(judge(image, site()).verdict.value, *image.problems[:3], sep="|")
"""

LAYERS = {
    "10 GiB of zeros, gzip": (
        "PASS",
        """
        zeros = gzip.compress(bytes(64 << 20), 1)
        LAYER = gzip.compress(entry("zeros", 10 << 30), 1) + 160 * zeros + gzip.compress(bytes(1024), 1)
        """,
    ),
    "10 GiB of zeros, zstd": (
        "PASS",
        """
        pack = zstandard.ZstdCompressor(level=1).compress
        LAYER = pack(entry("zeros", 10 << 30)) + 160 * pack(bytes(64 << 20)) + pack(bytes(1024))
        """,
    ),
    "10 GiB of zeros beyond the limit": (
        "UNKNOWN|limit layer_bytes",
        """
        LIMITS = ScanLimits(layer_bytes=1 << 30)
        pack = zstandard.ZstdCompressor(level=1).compress
        LAYER = pack(entry("zeros", 10 << 30)) + 160 * pack(bytes(64 << 20)) + pack(bytes(1024))
        """,
    ),
    "more unpacked than the header says": (
        "PASS",
        """
        pack = zstandard.ZstdCompressor(level=1).compress
        LAYER = pack(entry("a") + bytes(1024)) + 80 * pack(bytes(64 << 20))
        """,
    ),
    "a million entries": (
        "PASS",
        "LAYER = packed(many(1_000_000))",
    ),
    "more entries than the limit": (
        "UNKNOWN|limit entries",
        """
        LIMITS = ScanLimits(entries=50_000)
        LAYER = packed(many(100_000))
        """,
    ),
    "names of 3000 characters": (
        "PASS",
        'LAYER = packed(entry("a/" * 1500 + f"f{number}") for number in range(20_000))',
    ),
    "names that no system can open": (
        "UNKNOWN",
        'LAYER = packed(entry("a/" * 4000 + f"f{number}") for number in range(5_000))',
    ),
    "links in circles, and files through them": (
        "UNKNOWN",
        """
        LAYER = packed(
            part
            for number in range(50_000)
            for part in (
                entry(f"l{number}", type=tarfile.SYMTYPE, linkname=f"l{(7 * number + 1) % 50_000}"),
                entry(f"l{number}/x/y{number}"),
            )
        )
        """,
    ),
    "links that double at every step": (
        "PASS",
        """
        LAYER = packed(
            entry(f"l{number}", type=tarfile.SYMTYPE, linkname=f"l{number + 1}/l{number + 1}") for number in range(60)
        )
        """,
    ),
    "hard links to nothing": (
        "UNKNOWN",
        'LAYER = packed(entry(f"l{n}", type=tarfile.LNKTYPE, linkname="none") for n in range(100_000))',
    ),
    "paths out of the root, devices, fifos": (
        "UNKNOWN",
        """
        LAYER = packed([
            entry("../../../../etc/cron.d/evil"), entry("/abs"), entry("a/../../../b"),
            entry("dev/sda", type=tarfile.BLKTYPE), entry("fifo", type=tarfile.FIFOTYPE),
            entry("out", type=tarfile.SYMTYPE, linkname="../../../.."), entry("out/through"),
        ])
        """,
    ),
    "a sparse file of 4 EiB": (
        "UNKNOWN|limit layer_bytes",
        """
        header = bytearray(entry("sparse", 0))
        header[156:157] = b"S"
        header[483:495] = b"\\x80" + (2**62).to_bytes(11, "big")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\\0 " % sum(header)
        LAYER = packed([bytes(header)])
        """,
    ),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LAYERS)
def test_bounded(name: str, tmp_path: Path) -> None:
    """An answer, in bounded time and memory; where a limit ended the reading, it is named and nothing passes.

    The bounds are set on the process itself (RLIMIT_AS, RLIMIT_CPU): beyond them it fails.
    """
    expected, recipe = LAYERS[name]
    script = textwrap.dedent(_PRELUDE) + textwrap.dedent(recipe) + textwrap.dedent(_JUDGE)
    before = set(tmp_path.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", script, str(MEMORY), str(SECONDS)],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    verdict, _, problem = expected.partition("|")
    assert done.stdout.startswith(verdict) and problem in done.stdout, done.stdout
    assert set(tmp_path.iterdir()) == set() and set(tmp_path.parent.iterdir()) == before, "something was written"
