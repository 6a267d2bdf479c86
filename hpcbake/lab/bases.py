"""The two Debian releases under everything in the lab: pulled where Docker Hub answers, else bootstrapped."""

from __future__ import annotations

import json
import platform
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hpcbake.lab.engine import Engine
from hpcbake.lab.machine import Machine, require
from hpcbake.lab.mirror import PUBLIC_ATTIC, Mirror
from hpcbake.lab.packages import BOOTSTRAP_NEEDS, USER_BOOTSTRAP_NEEDS, ensure_packages
from hpcbake.lab.progress import Progress
from hpcbake.lab.settings import PREFIX, LabSettings

NEW_SUITE = "trixie"
_HUB = "https://registry-1.docker.io/v2/"
_KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/{name}.gpg") for name in ("debian-archive-keyring", "debian-archive-removed-keys")
)


@dataclass(frozen=True)
class Release:
    """A Debian release by its code name, as people count it, and with the glibc it carries."""

    suite: str
    number: str
    glibc: str


#: For birch and the stand-in base images: the oldest that can be had.
OLD_RELEASES = (Release("bullseye", "11", "2.31"), Release("bookworm", "12", "2.36"))


@dataclass(frozen=True)
class OldBase:
    """The old release that this lab uses, and the archive that still has it."""

    release: Release
    archive: str
    note: str = ""


def probe(url: str, proxy: str = "", *, timeout_s: float = 3.0) -> int | None:
    """The HTTP status of `url` through `proxy` (empty: the environment's), or None when nobody answers in time."""
    proxies = {"http": proxy, "https": proxy} if proxy else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(urllib.request.Request(url, method="HEAD"), timeout=timeout_s) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except (OSError, ValueError):
        return None


def choose_old_base(mirror: Mirror, *, probe: Callable[[str, str], int | None] = probe) -> OldBase:
    """The oldest release that an archive still has; a release that only the attic has is taken from there.

    An archive that does not answer the question is believed to have the release: the bootstrap will tell.
    """
    oldest, fallback = OLD_RELEASES
    if probe(f"{mirror.uri}/dists/{oldest.suite}/InRelease", mirror.proxy) not in (403, 404, 410):
        return OldBase(oldest, mirror.uri)
    if probe(f"{PUBLIC_ATTIC}/dists/{oldest.suite}/InRelease", mirror.proxy) == 200:
        return OldBase(oldest, PUBLIC_ATTIC, f"{mirror.uri} no longer has {oldest.suite}: taken from {PUBLIC_ATTIC}")
    return OldBase(
        fallback,
        mirror.uri,
        f"{mirror.uri} no longer has {oldest.suite} (glibc {oldest.glibc}): birch and the stand-in images are "
        f"{fallback.suite} with glibc {fallback.glibc} instead",
    )


def ensure_bases(
    machine: Machine, engine: Engine, settings: LabSettings, mirror: Mirror, old: OldBase, progress: Progress
) -> None:
    """Have debian:NEW and debian:OLD in the engine."""
    wanted = {NEW_SUITE: mirror.uri, old.release.suite: old.archive}
    missing = {suite: uri for suite, uri in wanted.items() if not _has_image(machine, engine, f"debian:{suite}")}
    if not missing:
        return
    if _is_hub_open(settings):
        with progress.step(f"pulling {_names(missing)} from Docker Hub"):
            missing = {suite: uri for suite, uri in missing.items() if not _pull(machine, engine, suite)}
        if missing:
            progress.say(f"Docker Hub does not give {_names(missing)}")
    if missing:
        ensure_packages(machine, progress, settings, BOOTSTRAP_NEEDS if settings.is_root else USER_BOOTSTRAP_NEEDS)
        with progress.step(f"bootstrapping {_names(missing)} from Debian packages ({mirror.uri})"):
            _bootstrap_all(machine, engine, settings, missing)


def _names(suites: dict[str, str]) -> str:
    return " and ".join(f"debian:{suite}" for suite in suites)


def _has_image(machine: Machine, engine: Engine, name: str) -> bool:
    return machine.run([engine.docker, "image", "inspect", name], timeout_s=20, environ=engine.environ()).ok


def _is_hub_open(settings: LabSettings) -> bool:
    # Any HTTP answer of Docker Hub's registry is 200 or 401; a proxy that blocks it gives other ones.
    return settings.hub == "yes" or (settings.hub == "auto" and probe(_HUB) in (200, 401))


def _pull(machine: Machine, engine: Engine, suite: str) -> bool:
    return machine.run([engine.docker, "pull", "-q", f"debian:{suite}"], timeout_s=180, environ=engine.environ()).ok


def _bootstrap_all(machine: Machine, engine: Engine, settings: LabSettings, missing: dict[str, str]) -> None:
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(_bootstrap, machine, engine, settings, suite, uri) for suite, uri in missing.items()]
    for job in jobs:
        job.result()


def _bootstrap(machine: Machine, engine: Engine, settings: LabSettings, suite: str, uri: str) -> None:
    tarball = settings.cache / f"debian-{suite}.tar"
    try:
        made = machine.run(
            bootstrap_argv(suite, uri, tarball, is_root=settings.is_root),
            timeout_s=1200,
            # /tmp may be small, or forbid device files. Without root, mapped users could not enter the cache folder.
            environ={"TMPDIR": str(settings.cache)} if settings.is_root else {},
            log=settings.state / f"bootstrap-{suite}.log",
        )
        remedy = f"is {uri} reachable, and does it have {suite}? {PREFIX}MIRROR names another Debian archive"
        require(made, f"bootstrapping Debian {suite} from {uri}", remedy=remedy)
        change = ["-c", 'CMD ["bash"]', "-c", f"LABEL org.hpcbake.lab=bootstrapped-{suite}"]
        platform_name = f"linux/{docker_architecture(platform.machine())}"
        imported = machine.run(
            [engine.docker, "import", "--platform", platform_name, *change, str(tarball), f"debian:{suite}"],
            timeout_s=300,
            environ=engine.environ(),
        )
        require(imported, f"importing debian:{suite}", remedy="is the disk full? free space and run it again")
    finally:
        tarball.unlink(missing_ok=True)


def bootstrap_argv(suite: str, uri: str, tarball: Path, *, is_root: bool) -> list[str]:
    """mmdebstrap's command for a minimal `suite` in `tarball`, without documentation, from the archive `uri`."""
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "info", "locale")]
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--mode={'root' if is_root else 'unshare'}",
        "--dpkgopt=force-unsafe-io",
        *excludes,
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Languages "none"',
        *(f"--keyring={keyring}" for keyring in _KEYRINGS if keyring.exists()),
        suite,
        str(tarball),
        f"deb {uri} {suite} main",
    ]


def docker_architecture(machine_name: str) -> str:
    """What Docker calls the processor that the kernel calls `machine_name`."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine_name, machine_name)


def read_old_base(path: Path) -> OldBase | None:
    """The choice made when the images were built, so that a warm start needs no network."""
    try:
        noted = json.loads(path.read_text())
        release = next(release for release in OLD_RELEASES if release.suite == noted["suite"])
        return OldBase(release, str(noted["archive"]), str(noted["note"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def write_old_base(path: Path, old: OldBase) -> None:
    noted = {"suite": old.release.suite, "archive": old.archive, "note": old.note}
    path.write_text(json.dumps(noted, indent=2) + "\n")
