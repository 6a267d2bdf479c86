"""What is known of base images by their names alone: distribution, glibc, and until when they get security fixes.

Names only: nothing is fetched. Sources: the distributions' own release pages and the packages of their images.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from hpcbake.model.late import dataclass
from hpcbake.model.reference import DEFAULT_REGISTRY, ImageReference
from hpcbake.model.version import Version, find_leading_version, parse_version


@dataclass(frozen=True)
class Base:
    """A base image: the distribution in words, its C library, and the last day of its security support if known.

    `glibc` is None for musl and unknown libraries; `at_least` says that the image moves and may be newer.
    """

    distribution: str
    glibc: Version | None = None
    libc: str = "glibc"
    end: date | None = None
    at_least: bool = False


def _base(distribution: str, glibc: str | None, end: str | None = None, *, libc: str = "glibc") -> Base:
    return Base(distribution, parse_version(glibc) if glibc else None, libc, date.fromisoformat(end) if end else None)


#: Enterprise Linux by major version: Rocky, Alma, CentOS, UBI, Oracle.
_ENTERPRISE_GLIBC: Final = {"6": "2.12", "7": "2.17", "8": "2.28", "9": "2.34", "10": "2.39"}
_ENTERPRISE_END: Final = {
    "6": "2020-11-30",
    "7": "2024-06-30",
    "8": "2029-05-31",
    "9": "2032-05-31",
    "10": "2035-05-31",
}

_DEBIAN: Final = {
    "stretch": _base("Debian 9", "2.24", "2022-06-30"),
    "buster": _base("Debian 10", "2.28", "2024-06-30"),
    "bullseye": _base("Debian 11", "2.31", "2026-08-31"),
    "bookworm": _base("Debian 12", "2.36", "2028-06-30"),
    "trixie": _base("Debian 13", "2.41", "2030-06-30"),
}
_DEBIAN_NUMBERS: Final = {"9": "stretch", "10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie"}
_UBUNTU: Final = {
    "14.04": _base("Ubuntu 14.04", "2.19", "2019-04-25"),
    "16.04": _base("Ubuntu 16.04", "2.23", "2021-04-30"),
    "18.04": _base("Ubuntu 18.04", "2.27", "2023-05-31"),
    "20.04": _base("Ubuntu 20.04", "2.31", "2025-05-31"),
    "22.04": _base("Ubuntu 22.04", "2.35", "2027-04-30"),
    "24.04": _base("Ubuntu 24.04", "2.39", "2029-04-30"),
}
_UBUNTU_NAMES: Final = {
    "trusty": "14.04", "xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04",
}  # fmt: skip
_FEDORA: Final = {
    "38": _base("Fedora 38", "2.37", "2024-05-21"),
    "39": _base("Fedora 39", "2.38", "2024-11-26"),
    "40": _base("Fedora 40", "2.39", "2025-05-13"),
    "41": _base("Fedora 41", "2.40", "2025-12-15"),
    "42": _base("Fedora 42", "2.41", "2026-05-13"),
    "43": _base("Fedora 43", "2.42"),
}
_LEAP: Final = {
    "15.3": _base("openSUSE Leap 15.3", "2.31", "2022-12-31"),
    "15.4": _base("openSUSE Leap 15.4", "2.31", "2023-12-07"),
    "15.5": _base("openSUSE Leap 15.5", "2.31", "2024-12-31"),
    "15.6": _base("openSUSE Leap 15.6", "2.38", "2026-04-30"),
}
_AMAZON: Final = {"2": _base("Amazon Linux 2", "2.26", "2026-06-30"), "2023": _base("Amazon Linux 2023", "2.34")}
_MUSL: Final = _base("Alpine", None, libc="musl")
#: Official images that are built on the newest Debian unless the tag says otherwise.
_ON_DEBIAN: Final = frozenset(
    {
        "buildpack-deps", "gcc", "golang", "haskell", "julia", "node", "perl", "php", "pypy", "python", "ruby", "rust",
        "r-base", "postgres", "nginx", "httpd", "redis",
    }
)  # fmt: skip
_ENTERPRISE: Final[Mapping[str, str]] = {
    "rockylinux": "Rocky Linux", "almalinux": "AlmaLinux", "centos": "CentOS", "oraclelinux": "Oracle Linux",
    "rhel": "RHEL", "ubi": "UBI",
}  # fmt: skip
#: A distribution inside a tag or a repository's name: `12.4-devel-rockylinux8`, `ubi9-minimal`.
_ENTERPRISE_PART = re.compile(r"(rockylinux|almalinux|centos|oraclelinux|rhel|ubi|el)-?(\d+)(?:\D|$)")
_UBUNTU_PART = re.compile(r"ubuntu-?(\d\d\.?\d\d)(?:\D|$)")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
_MAJOR = re.compile(r"v?(\d+)(?:[.-].*)?$")


def find_base(reference: ImageReference) -> Base | None:
    """What the name of `reference` tells, or None when it tells nothing."""
    name = reference.repository.rpartition("/")[2]
    tag = reference.tag or ""
    return _by_name(name, tag) or _by_parts(f"{reference.repository}:{tag}") or _by_default(reference, name)


def _by_name(name: str, tag: str) -> Base | None:
    if name == "alpine" or name.startswith("musllinux"):
        return _MUSL
    if name in _ENTERPRISE:
        major = _MAJOR.match(tag)
        return _enterprise(_ENTERPRISE[name], major.group(1)) if major else None
    plain = tag.partition("-")[0]
    if name == "debian":
        return _DEBIAN.get(_DEBIAN_NUMBERS.get(plain.partition(".")[0], plain))
    if name == "ubuntu":
        return _UBUNTU.get(_UBUNTU_NAMES.get(plain, plain))
    tables = {"fedora": _FEDORA, "leap": _LEAP, "amazonlinux": _AMAZON}
    return tables[name].get(plain) if name in tables else None


def _enterprise(distribution: str, major: str) -> Base | None:
    glibc = _ENTERPRISE_GLIBC.get(major)
    if glibc is None:
        return None
    end = {"CentOS": {**_ENTERPRISE_END, "8": "2021-12-31"}}.get(distribution, _ENTERPRISE_END)[major]
    return _base(f"{distribution} {major}", glibc, end)


def _by_parts(text: str) -> Base | None:
    """What a repository or tag says in passing."""
    manylinux = _MANYLINUX.search(text)
    if manylinux:
        return _base(
            f"manylinux {manylinux.group(1)}.{manylinux.group(2)}", f"{manylinux.group(1)}.{manylinux.group(2)}"
        )
    if "manylinux2014" in text:
        return _base("manylinux 2014", "2.17")
    for codename, base in _DEBIAN.items():
        if re.search(rf"(?:^|[^a-z]){codename}(?:[^a-z]|$)", text):
            return base
    for codename, version in _UBUNTU_NAMES.items():
        if re.search(rf"(?:^|[^a-z]){codename}(?:[^a-z]|$)", text):
            return _UBUNTU[version]
    ubuntu = _UBUNTU_PART.search(text)
    if ubuntu:
        digits = ubuntu.group(1).replace(".", "")
        return _UBUNTU.get(f"{digits[:2]}.{digits[2:]}")
    enterprise = _ENTERPRISE_PART.search(text)
    if enterprise:
        return _enterprise(_ENTERPRISE.get(enterprise.group(1), "Enterprise Linux"), enterprise.group(2))
    return _MUSL if "alpine" in text else None


def _by_default(reference: ImageReference, name: str) -> Base | None:
    if is_official(reference) and name in _ON_DEBIAN:
        return Base("the current Debian", parse_version("2.36"), at_least=True)
    return None


def is_official(reference: ImageReference) -> bool:
    """Whether `reference` is one of Docker Hub's official images."""
    return reference.registry == DEFAULT_REGISTRY and reference.repository.startswith("library/")


#: Docker Hub's official rockylinux stopped with these; later releases exist only under rockylinux/rockylinux.
_LAST_ROCKY: Final = {8: (8, 9), 9: (9, 3)}


def find_rocky_instead(reference: ImageReference) -> str | None:
    """Where the release really is, when `reference` is an official Rocky that there is not."""
    if not is_official(reference) or reference.repository != "library/rockylinux" or reference.tag is None:
        return None
    version = find_leading_version(reference.tag)
    if version is None:
        return None
    last = _LAST_ROCKY.get(version.parts[0])
    is_missing = version.parts[:2] > last if last else version.parts[0] > 9
    return f"docker.io/rockylinux/rockylinux:{reference.tag}" if is_missing else None
