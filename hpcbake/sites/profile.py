"""Profiles without a site: a file of one's own, or one of the distributions that ship with hpcbake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hpcbake.datafiles import data_folder
from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.site import Login, Site, Store
from hpcbake.sites.document import Section, listing, parse_document, suggest, text
from hpcbake.sites.read import profile_from_values
from hpcbake.sites.schema import PROFILE

#: What a profile file may say.
PROFILE_FILE = Section(
    {
        **PROFILE.fields,
        "description": text("one line for people"),
        "sources": listing(text(), "where the facts come from"),
    },
    "what the check judges against",
)


#: Distributions that are built from the same sources, by the name of the one that has profiles.
_SAME_SOURCES = dict.fromkeys(("rhel", "redhat", "almalinux", "alma", "centos-stream", "oraclelinux", "rocky"), "rocky")
_EL9_SINCE_BACKPORT = 7


def find_profile(name: str) -> Site:
    """A stand-in site with the profile of this file (`./cluster.yaml`) or of this shipped name (`rocky-8.10`)."""
    path = Path(name)
    if path.is_file():
        return read_profile(path)
    shipped = shipped_profiles()
    found = name if name in shipped else _same_as(name)
    if found in shipped:
        return replace(read_profile(shipped[found]), name=name)
    raise UsageError(
        f"{name!r} is neither a profile file nor a shipped profile",
        remedy=suggest(name, shipped).replace("known keys", "shipped profiles"),
    )


def _same_as(name: str) -> str:
    """`rhel-9.4` → `rocky-9`: which shipped profile holds for a release; empty when none does."""
    family, _, release = name.lower().rpartition("-")
    major, _, minor = release.partition(".")
    if family not in _SAME_SOURCES or (minor and not minor.isdigit()):
        return ""
    if major == "8" and minor in ("", "10"):
        return "rocky-8.10"  # glibc 2.28, libstdc++ 3.4.25, kernel 4.18
    if major == "9":
        return "rocky-9.7" if minor and int(minor) >= _EL9_SINCE_BACKPORT else "rocky-9"
    return ""


def shipped_profiles() -> dict[str, Path]:
    """The profiles that travel with hpcbake, by name."""
    folder = data_folder("site-configs") / "profiles"
    return {path.name.removesuffix(".yaml"): path for path in sorted(folder.glob("*.yaml"))}


def read_profile(path: Path) -> Site:
    """The profile in this file, under the file's name."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError(
            f"{path}: cannot be read: {cause}",
            remedy="check its permissions, and that it is UTF-8 text",
            kind="config.unreadable",
        ) from cause
    values = parse_document(content, str(path), PROFILE_FILE)
    description = str(values.pop("description", ""))
    values.pop("sources", None)
    name = path.name.removesuffix(".yaml").removesuffix(".yml")
    return Site(
        name=name,
        login=Login(host=""),
        store=Store(root=""),
        profile=profile_from_values(values),
        description=description,
        path=str(path),
    )
