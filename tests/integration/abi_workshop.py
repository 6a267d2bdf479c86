"""Compiles small programs and libraries, lays them out as root folders, and really starts them there."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.image_builder import Content, File, Files, HardLink, Link

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000
FOLDER = "usr/lib/x86_64-linux-gnu"
_HOST_LIBRARIES = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "libgcc_s.so.1", "libtinfo.so.6")


class Workshop:
    """A compiler with a memory: the same source and arguments are compiled once for ever."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def gcc(self, source: str, *args: str, inputs: Mapping[str, bytes] | None = None) -> bytes:
        """What gcc makes of C `source`; `inputs` are files that `args` may name."""
        return self._make(["gcc", "-w"], source, args, inputs or {})

    def gxx(self, source: str, *args: str) -> bytes:
        """What g++ makes of C++ `source`."""
        return self._make(["g++", "-w", "-x", "c++"], source, args, {})

    def zig(self, target: str, source: str, *args: str, inputs: Mapping[str, bytes] | None = None) -> bytes:
        """What zig makes of C `source` for a target such as `x86_64-linux-gnu.2.28`."""
        return self._make([sys.executable, "-m", "ziglang", "cc", "-w", "-target", target], source, args, inputs or {})

    def _make(self, compiler: list[str], source: str, args: Sequence[str], inputs: Mapping[str, bytes]) -> bytes:
        key = hashlib.sha256(repr((compiler[1:], source, args, sorted(inputs.items()))).encode()).hexdigest()
        kept = self._cache / key
        if not kept.exists():
            work = self._cache / f"{key}.work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            (work / "source.c").write_text(source)
            for name, content in inputs.items():
                (work / name).write_bytes(content)
            subprocess.run([*compiler, "source.c", "-o", "out", *args], cwd=work, check=True, timeout=900)
            (work / "out").rename(kept)
            shutil.rmtree(work)
        return kept.read_bytes()


@dataclass(frozen=True)
class Recipe:
    """An image made of compiled parts, whose `/usr/bin/app` either starts or does not."""

    files: Files
    runs: bool
    env: Mapping[str, str] = field(default_factory=dict)
    #: Write the loader's cache with the real ldconfig.
    ldconfig: bool = False


def host_base() -> dict[str, Content]:
    """This machine's own glibc as a small Debian root."""
    files: dict[str, Content] = {
        "bin": Link("usr/bin"),
        "lib": Link("usr/lib"),
        "lib64": Link("usr/lib64"),
        "usr/lib64/ld-linux-x86-64.so.2": Link("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        f"{FOLDER}/ld-linux-x86-64.so.2": File(_host_file("ld-linux-x86-64.so.2"), 0o755),
        "usr/bin/bash": File(Path("/bin/bash").resolve().read_bytes(), 0o755),
        "usr/bin/sh": Link("bash"),
        "tmp": None,
        "etc": None,
    }
    for name in _HOST_LIBRARIES:
        files[f"{FOLDER}/{name}"] = _host_file(name)
    return files


def _host_file(name: str) -> bytes:
    return (Path("/lib/x86_64-linux-gnu") / name).resolve().read_bytes()


def lay_out(files: Files, root: Path) -> None:
    """The files as a folder on disk."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, Link):
            path.symlink_to(content.target)
        elif isinstance(content, HardLink):
            path.hardlink_to(root / content.target)
        elif isinstance(content, File):
            path.write_bytes(content.content)
            path.chmod(content.mode)
        elif isinstance(content, bytes | str):
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(data)
            path.chmod(0o755 if data[:4] == b"\x7fELF" else 0o644)


def with_loader_cache(files: Files, root: Path) -> Files:
    """The files and the cache that the real ldconfig writes for them."""
    subprocess.run(["ldconfig", "-r", str(root)], check=True, capture_output=True)
    return {**files, "etc/ld.so.cache": (root / "etc/ld.so.cache").read_bytes()}


def starts(root: Path, env: Mapping[str, str], program: str = "/usr/bin/app") -> tuple[bool, str]:
    """Whether the program really starts inside the root, and what it said."""

    # Its own mount namespace: $ORIGIN of a program comes from /proc/self/exe, and nothing stays mounted afterwards.
    libc = ctypes.CDLL(None, use_errno=True)
    proc = str(root / "proc").encode()
    (root / "proc").mkdir(exist_ok=True)

    def enter() -> None:
        if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
            raise OSError(ctypes.get_errno(), "unshare")
        if libc.mount(b"proc", proc, b"proc", 0, None):
            raise OSError(ctypes.get_errno(), "mount")
        os.chroot(root)
        os.chdir("/tmp")

    try:
        done = subprocess.run(
            [program], env=dict(env), preexec_fn=enter, capture_output=True, text=True, timeout=30, cwd="/"
        )
    except (FileNotFoundError, OSError) as failure:
        return False, str(failure)
    return done.returncode == 0, done.stdout + done.stderr


def weaken(content: bytes, version: str) -> bytes:
    """Mark the need of one version as weak, as lld does for weak references."""
    number = 0
    for char in version.encode():
        number = (number << 4) + char
        number = (number ^ ((number & 0xF0000000) >> 24)) & 0x0FFFFFFF
    at = content.index(struct.pack("<IH", number, 0))
    return content[: at + 4] + struct.pack("<H", 2) + content[at + 6 :]


def rename_needed(content: bytes, old: str, new: str) -> bytes:
    """Point one DT_NEEDED at another name of the table of names, as a careless tool would."""
    changed = bytearray(content)
    count = struct.unpack_from("<H", changed, 56)[0]
    segments = [struct.unpack_from("<IIQQQQ", changed, 64 + 56 * index) for index in range(count)]
    dynamic = next(segment for segment in segments if segment[0] == 2)
    entries: dict[int, list[tuple[int, int]]] = {}
    for at in range(dynamic[2], dynamic[2] + dynamic[5], 16):
        tag, value = struct.unpack_from("<QQ", changed, at)
        entries.setdefault(tag, []).append((at, value))
    table = entries[5][0][1]
    load = next(s for s in segments if s[0] == 1 and s[3] <= table < s[3] + s[5])
    names = load[2] + table - load[3]
    wanted = changed.index(b"\0" + new.encode() + b"\0", names) + 1 - names
    for at, value in entries[1]:
        if changed[names + value :].startswith(old.encode() + b"\0"):
            struct.pack_into("<Q", changed, at + 8, wanted)
    return bytes(changed)
