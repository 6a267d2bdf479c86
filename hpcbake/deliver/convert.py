"""Converts an image to a SIF once, on the build host: verified against the image, kept by digest, put beside the image.

Every site then takes the very same bytes: `apptainer pull oras://…@sha256:…` costs a login node a second or two and
40 MB, where the conversion of a 1.3 GB image costs it 220 CPU seconds and more than a gigabyte of memory.
"""

from __future__ import annotations

import json
import platform
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hpcbake.deliver.pull_failures import explain_pull_failure
from hpcbake.deliver.room import ROOM_FACTOR
from hpcbake.errors import (
    CantWriteError,
    HpcbakeError,
    IntegrityError,
    PrereqError,
    RegistryTempError,
    SiteResourceError,
)
from hpcbake.model.artefacts import BuiltImage, ConvertedSif
from hpcbake.model.late import dataclass
from hpcbake.model.ports import ArtifactRegistry, KeptSif, Outcome, RunProgram, RuntimeCommands, SifStore
from hpcbake.model.reference import Digest, ImageReference
from hpcbake.model.version import Version, parse_version

if TYPE_CHECKING:
    from hpcbake.image.content import Content

_HERE = "this machine"
#: What `apptainer push` writes and `apptainer pull oras://` takes.
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.sylabs.sif.config.v1+json"
SIF_TYPE = "application/vnd.sylabs.sif.layer.v1.sif"
_EMPTY_CONFIG = b"{}"
#: `build --mksquashfs-args` is older, but only from here on it does not override what the configuration limits.
_TAKES_LIMITS = Version((1, 4))
_BUILD_ATTEMPTS = 2


@dataclass(frozen=True)
class ConvertSettings:
    """How to convert. `memory` and `processors` bound mksquashfs (as its -mem and -processors); `timeout_s` the whole.

    zstd unpacks 1.6 times as fast as gzip at 2.5 % more bytes, and takes an eighth of the time to make.
    """

    program: str = "apptainer"
    compression: str = "zstd"
    processors: int | None = None
    memory: str = "1G"
    timeout_s: float = 3600.0
    #: Fingerprint of the PGP key in apptainer's keyring here that signs every SIF; None: they are not signed.
    sign: str | None = None


class SifConverter:
    """A Converter over a local apptainer. Safe to use from several threads: the store lets one work on one digest."""

    def __init__(
        self,
        settings: ConvertSettings,
        *,
        run: RunProgram,
        commands: RuntimeCommands,
        registry: ArtifactRegistry,
        store: SifStore,
        hash_image: Callable[[BuiltImage], Content],
        hash_sif: Callable[[Path], Content],
        login_for: Callable[[str], tuple[str, str] | None],
        environment: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._run = run
        self._commands = commands
        self._registry = registry
        self._store = store
        self._hash_image = hash_image
        self._hash_sif = hash_sif
        self._login_for = login_for
        self._environment = environment
        self._version: str | None = None
        # A conversion takes all the processors and memory that it may: two at once would take twice that.
        self._one_at_a_time = threading.Lock()

    def why_not(self) -> str:
        """Why nothing can be converted here; empty when it can."""
        return "" if self._find_version() else f"no {self._settings.program} on this machine"

    def convert(self, image: BuiltImage, *, publish: bool) -> ConvertedSif:
        """See Converter."""
        if why_not := self.why_not():
            raise PrereqError(
                f"cannot convert {image.name}: {why_not}",
                remedy="install apptainer here, or choose another way of delivery: --way docker",
                kind="config.missing-program",
            )
        # A SIF that was kept unsigned, or signed by another key, is another SIF.
        name = image.digest.hex + (f"-{self._settings.sign.lower()}" if self._settings.sign else "")
        with self._store.work_on(name) as work:
            kept = self._store.find(name)
            made = kept is None
            if kept is None:
                with self._one_at_a_time:
                    kept = self._make(image, name, work)
            artifact = self._publish(image, kept, work) if publish else image.reference
        return ConvertedSif(kept.path, kept.sha256, kept.size_bytes, artifact, made)

    def _find_version(self) -> str:
        if self._version is None:
            try:
                said = self._run([self._settings.program, "--version"], timeout_s=60, environment=self._environment)
                self._version = said.stdout.strip() if said.ok else ""
            except PrereqError:
                self._version = ""
        return self._version

    def _make(self, image: BuiltImage, name: str, work: Path) -> KeptSif:
        need = int(image.size_bytes * ROOM_FACTOR)
        have = self._store.free_bytes()
        if have < need:
            raise CantWriteError(
                f"{work.parent} needs {need // 1024} kB to convert {image.name} and has {have // 1024} kB",
                remedy="make room there, or set HPCBAKE_CACHE_DIR to a folder with room",
                kind="state.cantwrite",
            )
        partial = work / "image.sif"
        for attempt in range(1, _BUILD_ATTEMPTS + 1):
            try:
                self._build(image, work, partial)
                break
            except (RegistryTempError, IntegrityError):
                if attempt == _BUILD_ATTEMPTS:
                    raise
        from hpcbake.image.content import compare_content  # imported late: most runs convert nothing

        differences = compare_content(self._hash_image(image), self._hash_sif(partial))
        if differences:
            raise IntegrityError(
                f"the SIF that {self._settings.program} made of {image.reference} does not hold what the image holds",
                remedy="run the same command again; if it stays, look at this machine's disk and memory",
                kind="image.content",
                evidence={"output": "\n".join(differences)},
            )
        if self._settings.sign:
            self._sign(image, partial, self._settings.sign)
        return self._store.adopt(partial, name)

    def _sign(self, image: BuiltImage, partial: Path, fingerprint: str) -> None:
        program = self._settings.program
        listed = self._run([program, "key", "list", "--secret"], timeout_s=60, environment=self._environment)
        number = find_key(listed.stdout, fingerprint)
        if number is None:
            raise PrereqError(
                f"cannot sign the SIF of {image.name}: apptainer's keyring here has no secret key {fingerprint}",
                remedy=f"`{program} key list --secret` shows what is there; correct `convert.sign` of hpcbake.yaml",
                kind="config.signing-key",
            )
        argv = [program, "sign", "--keyidx", str(number), str(partial)]
        # The runtime's cache folder also tells a runtime in a container which folder it shall see.
        environment = {**self._environment, "APPTAINER_CACHEDIR": str(partial.parent / "cache")}
        signed = self._run(argv, timeout_s=600, environment=environment)
        if not signed.ok:
            raise PrereqError(
                f"cannot sign the SIF of {image.name}: `{program} sign` ended with {signed.exit_code}",
                remedy="a key that signs unattended has no passphrase: keep it where only this account can read it",
                kind="config.signing-key",
                evidence={"output": signed.tail()},
            )

    def _build(self, image: BuiltImage, work: Path, partial: Path) -> None:
        partial.unlink(missing_ok=True)
        for name in ("tmp", "cache"):
            (work / name).mkdir(exist_ok=True, mode=0o700)
        outcome = self._run(
            self._build_argv(image, partial),
            timeout_s=self._settings.timeout_s,
            environment={**self._environment, **self._variables(image, work)},
        )
        if not outcome.ok:
            raise _explain(image, outcome)
        if not partial.is_file():
            raise PrereqError(
                f"{self._settings.program} said that it converted {image.reference} and made no file",
                remedy="try the command by hand",
                kind="config.converter",
                evidence={"output": outcome.tail()},
            )

    def command(self, image: BuiltImage) -> list[str]:
        """The conversion's own command, as `--dry-run` shows it."""
        return self._build_argv(image, Path("SIF"))

    def _build_argv(self, image: BuiltImage, partial: Path) -> list[str]:
        argv = self._commands.build_argv(
            self._settings.program,
            f"docker://{image.reference}",
            str(partial),
            plain_http=self._registry.speaks_http(image.reference.registry),
            squashfs=self._squashfs_arguments(),
        )
        if platform.machine().lower() not in ("x86_64", "amd64"):
            argv[2:2] = ["--arch", "amd64"]
        return argv

    def _squashfs_arguments(self) -> str:
        found = re.search(r"(\d+(?:\.\d+)+)", self._find_version())
        if not found or parse_version(found[1]) < _TAKES_LIMITS or "singularity" in self._find_version():
            return ""
        settings = self._settings
        level = " -Xcompression-level 3" if settings.compression == "zstd" else ""
        processors = f" -processors {settings.processors}" if settings.processors else ""
        return f"-comp {settings.compression}{level}{processors} -mem {settings.memory}"

    def _variables(self, image: BuiltImage, work: Path) -> dict[str, str]:
        """Folders of its own: a poisoned or shared cache must not matter. The login is read by nobody else."""
        variables: dict[str, str] = {}
        login = self._login_for(image.reference.registry)
        for prefix in ("APPTAINER", "SINGULARITY"):
            variables[f"{prefix}_TMPDIR"] = str(work / "tmp")
            variables[f"{prefix}_CACHEDIR"] = str(work / "cache")
            if login:
                variables[f"{prefix}_DOCKER_USERNAME"], variables[f"{prefix}_DOCKER_PASSWORD"] = login
        return variables

    def _publish(self, image: BuiltImage, kept: KeptSif, work: Path) -> ImageReference:
        """Put the SIF beside the image, as `apptainer push` would; what is there already is left alone."""
        manifest = render_artifact(image, kept)
        place = image.reference.with_digest(Digest.of(manifest))
        if self._registry.head_manifest(place) is None:
            config = work / "config.json"
            config.write_bytes(_EMPTY_CONFIG)
            self._registry.push_blob(place, config, Digest.of(_EMPTY_CONFIG))
            self._registry.push_blob(place, kept.path, Digest(f"sha256:{kept.sha256}"))
            # By tag: some registries remove what has none. The digest is what sites are given.
            self._registry.put_manifest(place.with_tag(artifact_tag(image.digest)), manifest, _MANIFEST_TYPE)
        return place


def find_key(listing: str, fingerprint: str) -> int | None:
    """The number of a key in what `apptainer key list --secret` prints, or None."""
    number = None
    for line in listing.splitlines():
        if found := re.match(r"(\d+)\)", line):
            number = int(found[1])
        shown = re.match(r"\s*Fingerprint:\s*([0-9A-Fa-f]+)", line)
        if shown and shown[1].upper() == fingerprint.upper():
            return number
    return None


def artifact_tag(digest: Digest) -> str:
    """The tag under which a SIF lies beside its image, so that people find it: `sha256-<hex>.sif`."""
    return f"sha256-{digest.hex}.sif"


def render_artifact(image: BuiltImage, kept: KeptSif) -> bytes:
    """The manifest of a SIF in a registry: the same bytes for the same SIF."""
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_TYPE,
        "config": {
            "mediaType": _CONFIG_TYPE,
            "size": len(_EMPTY_CONFIG),
            "digest": str(Digest.of(_EMPTY_CONFIG)),
        },
        "layers": [
            {
                "mediaType": SIF_TYPE,
                "size": kept.size_bytes,
                "digest": f"sha256:{kept.sha256}",
                "annotations": {"org.opencontainers.image.title": f"{image.name}.sif"},
            }
        ],
        "annotations": {"hpcbake.image.digest": str(image.digest)},
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def _explain(image: BuiltImage, outcome: Outcome) -> HpcbakeError:
    """A failed conversion by its cause; what would be the site's resources is this machine's here."""
    failure = explain_pull_failure(
        _HERE, str(image.reference), outcome.exit_code, f"{outcome.stdout}\n{outcome.stderr}", node=_HERE
    )
    if isinstance(failure, SiteResourceError):
        kind = CantWriteError if failure.kind == "site.space" else PrereqError
        return kind(
            failure.message,
            remedy=failure.remedy.replace("`store.root`", "HPCBAKE_CACHE_DIR").replace("ask the site", "see"),
            kind="state.cantwrite" if kind is CantWriteError else "config.converter",
            evidence=failure.evidence,
        )
    return failure
