"""Where this machine gets its Debian packages from, so that the lab asks the same place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hpcbake.lab.machine import Machine

#: Debian's own front door, for machines whose sources name no Debian archive (Ubuntu).
PUBLIC_ARCHIVE = "http://deb.debian.org/debian"
#: Where releases go when the mirrors drop them.
PUBLIC_ATTIC = "http://archive.debian.org/debian"

_DEBIAN_SUITES = frozenset(
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable", "testing", "unstable"],
)
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^]]*]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.*)$")


@dataclass(frozen=True)
class Mirror:
    """A Debian archive, and the proxy through which apt reaches it (empty: none)."""

    uri: str
    proxy: str = ""


@dataclass(frozen=True)
class AptSource:
    """One enabled source of binary packages."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]

    @property
    def is_debian(self) -> bool:
        """Could this be Debian's main archive, reachable from a container?"""
        return (
            self.uri.startswith(("http://", "https://"))
            and "main" in self.components
            and not _DEBIAN_SUITES.isdisjoint(self.suites)
        )


def parse_apt_sources(text: str) -> list[AptSource]:
    """The sources in an apt source file of either format, in order, disabled ones left out."""
    if re.search(r"^\s*types\s*:", text, re.MULTILINE | re.IGNORECASE):
        return [source for stanza in re.split(r"\n[ \t]*\n", text) for source in _parse_stanza(stanza)]
    matches = (_ONE_LINE.match(line.split("#")[0].strip()) for line in text.splitlines())
    return [
        AptSource(match["uri"].rstrip("/"), (match["suite"],), tuple(match["components"].split()))
        for match in matches
        if match
    ]


def _parse_stanza(stanza: str) -> list[AptSource]:
    values: dict[str, str] = {}
    key = ""
    for line in stanza.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            values[key] = f"{values.get(key, '')} {line.strip()}"
        else:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            values[key] = value.strip()
    if "deb" not in values.get("types", "").split() or values.get("enabled", "yes").lower() in ("no", "false"):
        return []
    suites, components = (tuple(values.get(name, "").split()) for name in ("suites", "components"))
    return [AptSource(uri.rstrip("/"), suites, components) for uri in values.get("uris", "").split()]


def choose_archive(sources: list[AptSource]) -> str | None:
    """The address of Debian's main archive among `sources`: third parties reuse suite names, so the path decides."""
    found = [source.uri for source in sources if source.is_debian]
    return next((uri for uri in found if uri.endswith("/debian")), found[0] if found else None)


def read_mirror(
    machine: Machine, environ: Mapping[str, str], *, wanted: str = "", folder: Path = Path("/etc/apt")
) -> Mirror:
    """The archive that this machine's apt uses, or `wanted`; Debian's own front door when there is neither."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    texts = [
        file.read_text(errors="replace") for file in files if file.suffix in (".list", ".sources") and file.is_file()
    ]
    sources = [source for text in texts for source in parse_apt_sources(text)]
    archive = wanted or choose_archive(sources) or PUBLIC_ARCHIVE
    return Mirror(archive, _read_proxy(machine, environ, archive))


def _read_proxy(machine: Machine, environ: Mapping[str, str], archive: str) -> str:
    """apt's own proxy setting comes before the environment's, as it does for apt itself."""
    scheme = archive.partition(":")[0]
    outcome = machine.run(["apt-config", "shell", "proxy", f"Acquire::{scheme}::Proxy"], timeout_s=10)
    match = re.search(r"^proxy='(.*)'$", outcome.stdout, re.MULTILINE)
    found = match[1] if match else environ.get(f"{scheme}_proxy", "")
    return "" if found.upper() == "DIRECT" else found
