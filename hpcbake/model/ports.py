"""The outside world as stages see it: Protocols that adapters implement and unit tests fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from hpcbake.model.artefacts import BuiltImage, ConvertedSif
from hpcbake.model.late import dataclass
from hpcbake.model.reference import Digest, ImageReference


@dataclass(frozen=True)
class Outcome:
    """How one command or script ended. `exit_code` is the program's own; text is decoded with backslashreplace."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""
    duration_s: float = 0.0

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def tail(self, lines: int = 20) -> str:
        """The last lines of stderr (or stdout when stderr is empty), for evidence."""
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-lines:])


class Node(Protocol):
    """A login node: somewhere POSIX-sh scripts run. One connection; safe to call again after an error."""

    name: str

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        """Run `script` with /bin/sh there and wait for its end.

        `secret_stdin` reaches the script's standard input and appears in no argv, log or error.
        Raises SiteUnreachableError when the transport fails or the deadline passes (the script may then
        still be running: scripts must be safe to run again), SiteTrustError before anything is sent.
        """
        ...

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Run `script` as `run_script` does, with the bytes of the local file `source` as its standard input.

        The script puts them where they belong (`cat >part`) and proves them (sha256, size): what arrived is not known
        here. It may end without having read them all. Ends at the deadline, and earlier when nothing of the file is
        taken for `stall_s`. `on_sent` hears now and then how many bytes of it have gone. Raises CantWriteError when
        `source` cannot be read, else as `run_script`.
        """
        ...

    def close(self) -> None: ...


class Clock(Protocol):
    """Wall time in UTC and a monotonic time, both in seconds, and a sleep that a signal may end early."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class RuntimeCommands(Protocol):
    """How the container runtime's commands are spelled: argv lists to be carried to a node."""

    def pull_argv(self, program: str, uri: str, destination: str, *, plain_http: bool) -> list[str]: ...

    def build_argv(
        self, program: str, uri: str, destination: str, *, plain_http: bool, squashfs: str = ""
    ) -> list[str]: ...

    def exec_argv(
        self, program: str, sif: str, command: list[str], *, binds: tuple[str, ...] = (), gpu: str = "none"
    ) -> list[str]: ...


class Builder(Protocol):
    """BuildKit, through `docker buildx bake`."""

    def pushes_by_digest(self) -> bool:
        """Can it push without a tag? Docker's own driver cannot."""
        ...

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        """Build `targets` of a bake definition (JSON text) and return buildx's metadata by target.

        Raises PrereqError when there is no builder, BuildError when a step fails, RegistryError or
        RegistryTempError when the push does.
        """
        ...


@dataclass(frozen=True)
class KeptSif:
    """A SIF in a folder of this machine, complete, with the sum of its bytes."""

    path: Path
    sha256: str
    size_bytes: int


class SifStore(Protocol):
    """Where this machine keeps the SIFs that it has converted."""

    def work_on(self, name: str) -> AbstractContextManager[Path]:
        """An empty folder to make the SIF `name` in, while nobody else works on it. Raises CantWriteError."""
        ...

    def free_bytes(self) -> int: ...

    def find(self, name: str) -> KeptSif | None: ...

    def adopt(self, partial: Path, name: str) -> KeptSif: ...


class ArtifactRegistry(Protocol):
    """A registry that takes a file beside an image. Raises RegistryError or RegistryTempError."""

    def head_manifest(self, ref: ImageReference) -> Digest | None: ...

    def put_manifest(self, ref: ImageReference, content: bytes, media_type: str) -> Digest: ...

    def push_blob(self, ref: ImageReference, path: Path, digest: Digest) -> bool: ...

    def speaks_http(self, registry: str) -> bool: ...


class RunProgram(Protocol):
    """Runs a program of this machine. Exit code 124 stands for "deadline passed". Raises PrereqError."""

    def __call__(self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str]) -> Outcome: ...


class Converter(Protocol):
    """The build host's own apptainer: makes the SIF once, for every site."""

    def why_not(self) -> str:
        """Why nothing can be converted here, in a few words; empty when it can."""
        ...

    def convert(self, image: BuiltImage, *, publish: bool) -> ConvertedSif:
        """The SIF of an image: made now, or made before and looked at again. `publish` puts it beside the image.

        Raises IntegrityError when the SIF does not hold what the image holds, RegistryError or RegistryTempError,
        PrereqError when the runtime here cannot convert, CantWriteError when there is no room.
        """
        ...
