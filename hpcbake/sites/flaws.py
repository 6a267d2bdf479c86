"""Container runtimes that are known to do harm: which versions, what they do, and where that is written."""

from __future__ import annotations

from hpcbake.model.late import dataclass
from hpcbake.model.version import Version


@dataclass(frozen=True)
class Flaw:
    """What versions `first` to `last` of apptainer do, and who says so. `setuid`: in setuid installations only."""

    first: Version
    last: Version
    does: str
    source: str
    setuid: bool = False


def _flaw(first: str, last: str, does: str, source: str, *, setuid: bool = False) -> Flaw:
    return Flaw(_version(first), _version(last), does, source, setuid)


def _version(text: str) -> Version:
    return Version(tuple(map(int, text.split("."))))


_ISSUES = "https://github.com/apptainer/apptainer/issues"
_ADVISORIES = "https://github.com/apptainer/apptainer/security/advisories"

FLAWS: tuple[Flaw, ...] = (
    _flaw("1.0.0", "1.1.1", "takes weak hashes for signatures", "CVE-2022-39237"),
    _flaw("1.0.0", "1.1.7", "lets users crash or take over the kernel by ext3 images", "CVE-2023-30549", setuid=True),
    _flaw("1.2.0", "1.2.0", "sets networks up as root", f"{_ADVISORIES}/GHSA-mmx5-32m4-wxvx", setuid=True),
    _flaw("1.4.0", "1.4.1", "pulls past the mirrors of its configuration", f"{_ISSUES}/2919"),
    _flaw("1.5.0", "1.5.0", "says that a damaged SIF was written well", f"{_ISSUES}/3486"),
    _flaw("1.5.1", "1.5.1", "crashes on large images", f"{_ISSUES}/3560"),
)  # fmt: skip


def find_flaw(version: Version, *, is_setuid: bool) -> Flaw | None:
    """The flaw that matters most of this version of apptainer: the one that newer ones had last."""
    found = [flaw for flaw in FLAWS if flaw.first <= version <= flaw.last and (is_setuid or not flaw.setuid)]
    return found[-1] if found else None
