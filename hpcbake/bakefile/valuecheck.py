"""Whether single values of a target are such that BuildKit can use them: sizes, platforms, ulimits, annotations.

Pure: each check takes a value and raises MalformedValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.suggestion import nearest

_OS_PART = re.compile(r"[A-Za-z0-9_-]+(\([A-Za-z0-9_.%-]*((\+[A-Za-z0-9_.%-]+)*)\))?")
_PLATFORM_PART = re.compile(r"[A-Za-z0-9_.-]+")
_KNOWN_SYSTEMS: Final = frozenset(
    {
        "aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "macos", "nacl",
        "netbsd", "openbsd", "plan9", "solaris", "windows", "zos",
    }
)  # fmt: skip
_KNOWN_ARCHITECTURES: Final = frozenset(
    {
        "386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "ppc64", "ppc64le", "loong64", "mips", "mipsle",
        "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "riscv", "riscv64", "s390", "s390x", "sparc",
        "sparc64", "wasm", "i386", "x86_64", "x86-64", "aarch64", "armhf", "armel",
    }
)  # fmt: skip
_ULIMITS: Final = frozenset(
    {
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
        "rttime", "sigpending", "stack",
    }
)  # fmt: skip
_ANNOTATION_TYPE = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?")
_ANNOTATION_TYPES: Final = frozenset({"index", "index-descriptor", "manifest", "manifest-descriptor"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_SIZE_FACTORS: Final = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def _check_context(value: object) -> None:
    if value == "-":
        raise MalformedValueError(
            "a context cannot come from standard input", help="name a folder, a URL or a git repository"
        )


def _check_dockerfile(value: object) -> None:
    if value == "-":
        raise MalformedValueError(
            "a Dockerfile cannot come from standard input", help="name a file, or write it into dockerfile-inline"
        )


def check_shm_size(value: object) -> None:
    """Raise MalformedValueError unless `value` is a size such as `128m`."""
    if parse_size(str(value)) is None:
        raise MalformedValueError(f'"{value}" is not a size', help="write a number and a unit: 64m, 1g, 512kb")


def parse_size(text: str) -> int | None:
    """The bytes that `text` (`64m`, `1.5 GiB`, `1024`) means, in units of 1024; None if it is no size."""
    last_digit = max((text.rfind(c) for c in "0123456789. "), default=-1)
    if last_digit < 0:
        return None
    number = text[:last_digit] if text[last_digit] == " " else text[: last_digit + 1]
    suffix = text[last_digit + 1 :].lower()
    size = _parse_float(number)
    if size is None or size < 0:
        return None
    if suffix in ("", "b"):
        return int(size)
    if suffix[0] not in _SIZE_FACTORS or suffix[1:] not in ("", "b", "ib"):
        return None
    return int(size * _SIZE_FACTORS[suffix[0]])


def _parse_float(text: str) -> float | None:
    if text != text.strip():
        return None
    try:
        return float.fromhex(text) if text.lower().lstrip("+-").startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return None


def _check_platforms(value: object) -> None:
    for part in str(value).split(","):
        if part.lower() != "local":
            check_platform(part)


def check_platform(text: str) -> None:
    """Raise MalformedValueError unless `text` is `os`, `arch`, `os/arch` or `os/arch/variant`."""
    example = "write os/architecture, for example linux/amd64"
    if "*" in text:
        raise MalformedValueError(f'"{text}" has a wildcard; a platform has none', help=example)
    parts = text.split("/")
    if not _OS_PART.fullmatch(parts[0]):
        raise MalformedValueError(f'"{parts[0]}" in "{text}" is not an operating system', help=example)
    for part in parts[1:4]:
        if not _PLATFORM_PART.fullmatch(part):
            raise MalformedValueError(f'"{part}" in "{text}" is not an architecture or variant', help=example)
    if len(parts) > 3:
        raise MalformedValueError(f'"{text}" has too many parts for a platform', help=example)
    name = parts[0].partition("(")[0].lower()
    if len(parts) == 1 and name not in _KNOWN_SYSTEMS and parts[0].lower() not in _KNOWN_ARCHITECTURES:
        raise MalformedValueError(
            f'"{text}" is neither an operating system nor an architecture', help=_nearest_platform(text)
        )


def _nearest_platform(text: str) -> str:
    first, dash, rest = text.lower().replace("_", "-").partition("-")
    if dash and first in _KNOWN_SYSTEMS:
        return f"did you mean {first}/{rest}?"
    near = nearest(text, _KNOWN_ARCHITECTURES | _KNOWN_SYSTEMS)
    return f"did you mean {near}?" if near else "write os/architecture, for example linux/amd64"


def check_ulimit(value: object) -> None:
    """Raise MalformedValueError unless `text` is `name=soft` or `name=soft:hard`."""
    example = "write name=soft:hard, for example nofile=1024:4096"
    text = str(value)
    name, equals, limits = text.partition("=")
    if not equals:
        raise MalformedValueError(f'"{text}" is not a ulimit', help=example)
    if name not in _ULIMITS:
        raise MalformedValueError(f"there is no ulimit {name}", help=f"one of {', '.join(sorted(_ULIMITS))}")
    values = limits.split(":")
    if len(values) > 2:
        raise MalformedValueError(f'"{limits}" has more than a soft and a hard limit', help=example)
    for limit in values:
        if not _INTEGER.fullmatch(limit) or not -(2**63) <= int(limit) < 2**63:
            raise MalformedValueError(f'ulimit {name}: "{limit}" is not a whole number', help=example)
    soft, hard = int(values[0]), int(values[-1])
    if hard != -1 and (soft == -1 or soft > hard):
        raise MalformedValueError(
            f"the soft limit {soft} is above the hard limit {hard}",
            help="swap the two, or raise the hard limit",
        )


def check_annotation(value: object) -> None:
    """Raise MalformedValueError unless `text` is `[types:]key=value`."""
    text = str(value)
    left, equals, _ = text.partition("=")
    if not equals:
        raise MalformedValueError(f'"{text}" is not key=value', help="write key=value, or index:key=value")
    types, colon, _ = left.partition(":")
    if not colon:
        return
    for kind in types.split(","):
        match = _ANNOTATION_TYPE.fullmatch(kind)
        if match is None:
            raise MalformedValueError(
                f'"{kind}" is not a kind of object with a platform in brackets',
                help="write for example manifest[linux/amd64]:key=value",
            )
        if match.group(1) not in _ANNOTATION_TYPES:
            raise MalformedValueError(
                f'there is no kind of object "{match.group(1)}"', help=f"one of {', '.join(sorted(_ANNOTATION_TYPES))}"
            )
        if match.group(2):
            check_platform(match.group(2))


#: The checks of attributes whose values can be judged by themselves; of a list, item by item.
VALUE_CHECKS: Final[Mapping[str, Callable[[object], None]]] = {
    "context": _check_context,
    "dockerfile": _check_dockerfile,
    "shm-size": check_shm_size,
    "platforms": _check_platforms,
    "annotations": check_annotation,
    "ulimits": check_ulimit,
}
