"""Puts the real world together: adapters for the ports that stages ask for."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.adapters.buildx import Buildx
from hpcbake.adapters.clock import SystemClock
from hpcbake.adapters.credentials import DockerCredentials
from hpcbake.adapters.processes import run_program
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.sifcache import SifFolder
from hpcbake.adapters.verdictcache import VerdictCache
from hpcbake.check.policy import Policy, apply_policy
from hpcbake.cli.policy import read_policy
from hpcbake.deliver.convert import ConvertSettings, SifConverter
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.reference import Digest
from hpcbake.model.site import Profile, Site
from hpcbake.model.verdict import CompatReport
from hpcbake.report.redact import Redactor
from hpcbake.ship.ports import SiteNode, World

if TYPE_CHECKING:
    from hpcbake.image.content import ContentEntry
    from hpcbake.image.scan import ScannedImage


def make_world(
    environment: Mapping[str, str],
    *,
    folder: Path,
    builder: str | None = None,
    allow: Sequence[str] = (),
    build_log: Path | None = None,
    plain_http: Sequence[str] = (),
    convert: ConvertSettings | None = None,
    redactor: Redactor | None = None,
) -> World:
    """The world of a run on this machine. `redactor` learns every login that is found."""
    redactor = redactor or Redactor()
    registry = RegistryClient.from_environment(environment, plain_http=frozenset(plain_http))
    logins = DockerCredentials.from_environment(environment)

    def login_for(host: str) -> tuple[str, str] | None:
        found = logins.find(host)
        redactor.learn([found.secret] if found else [])
        return None if found is None or found.is_token else (found.username, found.secret)

    # What reads images is imported where it is needed: where nothing has changed no image is read.
    def scan(image: BuiltImage) -> ScannedImage:
        from hpcbake.adapters.factcache import FolderFactCache
        from hpcbake.adapters.imagesource import RegistrySource
        from hpcbake.image.scan import scan_image

        source = RegistrySource(registry, image.reference)
        return scan_image(source, cache=FolderFactCache.of_user(environment))

    def content_of(image: BuiltImage) -> dict[str, ContentEntry]:
        from hpcbake.adapters.imagesource import RegistrySource
        from hpcbake.image.content import hash_image

        return hash_image(RegistrySource(registry, image.reference))

    def content_of_sif(path: Path) -> dict[str, ContentEntry]:
        from hpcbake.adapters.sif import hash_sif

        return hash_sif(path)

    def content_sum(image: BuiltImage) -> str:
        from hpcbake.image.content import content_digest

        return content_digest(content_of(image))

    return World(
        builder=Buildx(
            folder=folder,
            environment=environment,
            builder=builder,
            allow=allow,
            log_path=build_log,
            redact=redactor.text,
        ),
        registry=registry,
        commands=SpythonCommands(),
        connect=connect,
        check=Checker(scan, read_policy(folder), kept=VerdictCache.of_user(environment)),
        login_for=login_for,
        clock=SystemClock(),
        converter=SifConverter(
            with_program(convert or ConvertSettings(), environment),
            run=run_program,
            commands=SpythonCommands(),
            registry=registry,
            store=SifFolder.of_user(environment),
            hash_image=content_of,
            hash_sif=content_of_sif,
            login_for=login_for,
            environment=environment,
        ),
        content_of=OncePerImage(content_sum),
    )


def connect(site: Site) -> SiteNode:
    """The node of a site, by its transport; nothing is sent before its first script."""
    if site.login.transport == "openssh":
        from hpcbake.adapters.ssh_openssh import OpenSshNode

        return OpenSshNode(site)
    if site.login.transport == "local":
        from hpcbake.adapters.local import LocalNode

        return LocalNode(site)
    from hpcbake.adapters.ssh_fabric import FabricNode

    return FabricNode(site)


def with_program(settings: ConvertSettings, environment: Mapping[str, str]) -> ConvertSettings:
    """HPCBAKE_APPTAINER names this machine's apptainer, whatever the project says."""
    program = environment.get("HPCBAKE_APPTAINER")
    return replace(settings, program=program) if program else settings


class OncePerImage:
    """A question about an image that is answered once per run, however many sites ask at the same time."""

    def __init__(self, answer: Callable[[BuiltImage], str]) -> None:
        self._answer = answer
        self._known: dict[Digest, str] = {}
        self._locks: dict[Digest, threading.Lock] = {}
        self._guard = threading.Lock()

    def __call__(self, image: BuiltImage) -> str:
        with self._guard:
            lock = self._locks.setdefault(image.digest, threading.Lock())
        with lock:
            if image.digest not in self._known:
                self._known[image.digest] = self._answer(image)
            return self._known[image.digest]


class KeptVerdicts(Protocol):
    """What earlier runs have found."""

    def load(self, digest: Digest, profile: Profile) -> CompatReport | None: ...

    def store(self, digest: Digest, profile: Profile, report: CompatReport) -> None: ...


class Checker:
    """Judges images for sites. Each digest is scanned once and judged once per profile, however many sites ask; what an
    earlier run has found is not judged again."""

    def __init__(
        self,
        scan: Callable[[BuiltImage], ScannedImage],
        policy: Policy,
        judge: Callable[[ScannedImage, Site], CompatReport] | None = None,
        kept: KeptVerdicts | None = None,
    ) -> None:
        self._scan = scan
        self._policy = policy
        self._judge = judge
        self._kept = kept
        self._scans: dict[Digest, ScannedImage] = {}
        self._verdicts: dict[tuple[Digest, Profile], CompatReport] = {}
        self._locks: dict[Digest, threading.Lock] = {}
        self._guard = threading.Lock()

    def __call__(self, image: BuiltImage, site: Site) -> CompatReport:
        with self._guard:
            lock = self._locks.setdefault(image.digest, threading.Lock())
        key = (image.digest, site.profile)
        with lock:
            if key not in self._verdicts:
                self._verdicts[key] = self._judge_it(image, site)
            report = replace(self._verdicts[key], site=site.name)
        today = datetime.datetime.now(datetime.timezone.utc).date()
        return apply_policy(report, self._policy, today)

    def _judge_it(self, image: BuiltImage, site: Site) -> CompatReport:
        known = self._kept.load(image.digest, site.profile) if self._kept else None
        if known is not None:
            return known
        from hpcbake.check.judge import judge  # imported late: many rules

        if image.digest not in self._scans:
            self._scans[image.digest] = self._scan(image)
        report = (self._judge or judge)(self._scans[image.digest], site)
        if self._kept:
            self._kept.store(image.digest, site.profile, report)
        return report
