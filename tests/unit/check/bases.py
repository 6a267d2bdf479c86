"""Small but complete images for the rules: a libc, a loader, a shell, as a distribution lays them out."""

from __future__ import annotations

from hpcbake.check.judge import judge
from hpcbake.image.scan import ScannedImage
from hpcbake.model.site import Gpu, Injection, Login, Profile, Site, Store
from hpcbake.model.verdict import CompatReport, Finding, Severity
from hpcbake.model.version import parse_version
from tests.elf_builder import glibc, library, program
from tests.image_builder import Content, Link

GLIBCXX_8 = ["GLIBCXX_3.4", *(f"GLIBCXX_3.4.{number}" for number in range(1, 26)), "CXXABI_1.3", "CXXABI_1.3.11"]


def el8(release: str = "2.28") -> dict[str, Content]:
    """An image laid out as Rocky 8: /lib64 is a link, /usr/local/lib is not searched."""
    pieces = glibc(release)
    return {
        "bin": Link("usr/bin"),
        "lib": Link("usr/lib"),
        "lib64": Link("usr/lib64"),
        "sbin": Link("usr/sbin"),
        **{f"usr/lib64/{name}": content for name, content in pieces.items()},
        "usr/lib64/libstdc++.so.6": library("libstdc++.so.6", offers=GLIBCXX_8),
        "usr/bin/bash": program(),
        "usr/bin/sh": Link("bash"),
        "etc/os-release": 'ID="rocky"\nVERSION_ID="8.10"\nPRETTY_NAME="Rocky Linux 8.10"\n',
    }


def debian(release: str = "2.36") -> dict[str, Content]:
    """An image laid out as Debian, with its multiarch folders."""
    folder = "usr/lib/x86_64-linux-gnu"
    defaults = ("/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/")
    pieces = glibc(release, folders=defaults)
    return {
        "bin": Link("usr/bin"),
        "lib": Link("usr/lib"),
        "lib64": Link("usr/lib64"),
        "usr/lib64/ld-linux-x86-64.so.2": Link("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        **{f"{folder}/{name}": content for name, content in pieces.items()},
        "usr/bin/bash": program(),
        "usr/bin/sh": Link("bash"),
    }


def site(**profile: object) -> Site:
    """A site with this profile; versions may be given as text."""
    versions = {"glibc", "glibcxx", "kernel", "apptainer"}
    values = {
        name: parse_version(value) if name in versions and isinstance(value, str) else value
        for name, value in profile.items()
    }
    return Site("alder", Login("alder"), Store("/scratch"), Profile(**values))  # type: ignore[arg-type]


def gpu(mode: str = "nv", driver: str = "", cuda: str = "") -> Gpu:
    return Gpu(mode, parse_version(driver) if driver else None, parse_version(cuda) if cuda else None)


def injection(name: str, *needs: str, execstack: bool = False) -> Injection:
    return Injection(name, needs, execstack)


def findings(report: CompatReport, severity: Severity | None = None) -> list[tuple[str, str]]:
    """(rule, subject) of every finding, without mere information unless asked for."""
    wanted = {severity} if severity else set(Severity) - {Severity.INFO}
    return [(finding.rule, finding.subject) for finding in report.findings if finding.severity in wanted]


def judged(image: ScannedImage, **profile: object) -> CompatReport:
    return judge(image, site(**profile))


def only(report: CompatReport) -> Finding:
    """The one finding that is more than information."""
    grave = [finding for finding in report.findings if finding.severity is not Severity.INFO]
    assert len(grave) == 1, [finding.message for finding in grave]
    return grave[0]
