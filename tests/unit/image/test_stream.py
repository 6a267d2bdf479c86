"""Unpacking and exact reading of streams, in pieces of any size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcbake.errors import IntegrityError
from hpcbake.image.stream import PIECE_BYTES, ByteStream, EndOfStreamError, unpack

_PLAIN = bytes(range(256)) * 300 + b"\0" * 50_000 + b"end"


def chunks(content: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def zstd_with_skippable_frame(content: bytes) -> bytes:
    """Two frames, one with a checksum, and a skippable one between: as zstd:chunked writes."""
    half = len(content) // 2
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    first = zstandard.ZstdCompressor(write_checksum=True).compress(content[:half])
    return first + skippable + zstandard.ZstdCompressor().compressobj().compress(b"") + _stream_frame(content[half:])


def _stream_frame(content: bytes) -> bytes:
    engine = zstandard.ZstdCompressor(level=1).compressobj()
    return engine.compress(content) + engine.flush()


def members(content: bytes) -> bytes:
    """Several gzip members and padding: as pigz and eStargz write."""
    return gzip.compress(content[:1000]) + gzip.compress(b"") + gzip.compress(content[1000:]) + bytes(512)


_FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip members": members,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zstd frames": zstd_with_skippable_frame,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("name", _FORMATS)
@pytest.mark.parametrize("size", [7, 1000, 1 << 20])
def test_every_format_in_pieces_of_any_size(name: str, size: int) -> None:
    """The magic number decides, and chunk borders do not matter."""
    packed = _FORMATS[name](_PLAIN)
    assert b"".join(map(bytes, unpack(chunks(packed, size), "a layer"))) == _PLAIN


@pytest.mark.parametrize("name", [name for name in _FORMATS if name not in ("plain", "gzip members")])
@pytest.mark.parametrize("cut", [1, 4, 9, 100])
def test_truncated_data_is_damage(name: str, cut: int) -> None:
    """Compressed data that ends early is never taken for whole."""
    packed = _FORMATS[name](_PLAIN)[:-cut]
    with pytest.raises(IntegrityError, match="a layer"):
        list(unpack(chunks(packed, 500), "a layer"))


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_garbage_inside_is_damage(name: str) -> None:
    """Bytes that were overwritten in the middle."""
    packed = bytearray(_FORMATS[name](_PLAIN))
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    with pytest.raises(IntegrityError):
        list(unpack(chunks(bytes(packed), 500), "a layer"))


@pytest.mark.parametrize("level", [1, 9])
def test_bombs_come_in_bounded_pieces(level: int) -> None:
    """16 MiB of zeros in some kB are handed on a piece at a time."""
    engine = zlib.compressobj(level, zlib.DEFLATED, 31)
    packed = b"".join(engine.compress(bytes(1 << 20)) for _ in range(16)) + engine.flush()
    sizes = [len(piece) for piece in unpack(chunks(packed, 1 << 20), "a layer")]
    assert sum(sizes) == 16 << 20
    assert max(sizes) <= PIECE_BYTES


_WITHOUT_ISAL = """
import sys
sys.modules["isal"] = None  # as where no wheel is to be had
from hpcbake.errors import IntegrityError
from hpcbake.image.stream import unpack
packed = sys.stdin.buffer.read()
try:
    for piece in unpack((packed[at : at + 500] for at in range(0, len(packed), 500)), "a layer"):
        sys.stdout.buffer.write(piece)
except IntegrityError as error:
    sys.exit(error.message)
"""


@pytest.mark.parametrize("name", ["gzip", "gzip members"])
def test_without_a_fast_library_gzip_is_the_same(name: str) -> None:
    """Python's own module reads it then: whole, cut short, with garbage behind or inside."""
    packed = _FORMATS[name](_PLAIN)

    def unpacked(content: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-c", _WITHOUT_ISAL], input=content, capture_output=True, check=False)

    assert unpacked(packed).stdout == _PLAIN
    for damaged in (packed.rstrip(b"\0")[:-1], packed.rstrip(b"\0") + b"garbage", packed[:3000] + b"\xff" * 40):
        done = unpacked(damaged)
        assert (done.returncode, b"a layer cannot be unpacked" in done.stderr) == (1, True), done.stderr


def test_garbage_behind_the_last_member_is_damage() -> None:
    """As for container runtimes: only zeros may follow."""
    with pytest.raises(IntegrityError):
        list(unpack(chunks(gzip.compress(_PLAIN) + b"garbage", 500), "a layer"))


def test_empty_input_is_empty() -> None:
    """Nothing in, nothing out."""
    assert list(unpack(iter([]), "a layer")) == []


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(1, 20), st.lists(st.integers(0, 40), max_size=12))
def test_exact_reads(content: bytes, size: int, steps: list[int]) -> None:
    """take, pieces and skip agree with slicing, whatever the chunks."""
    stream, at = ByteStream(chunks(content, size)), 0
    for number, step in enumerate(steps):
        end = at + step
        try:
            if number % 3 == 0:
                assert stream.take(step) == content[at:end]
            elif number % 3 == 1:
                assert b"".join(bytes(piece) for piece in stream.pieces(step)) == content[at:end]
            else:
                stream.skip(step)
        except EndOfStreamError:
            assert end > len(content)
            return
        assert end <= len(content)
        at = end
        assert stream.position == at
    assert stream.is_at_end() == (at == len(content))
