"""`docker buildx bake`: hands BuildKit a resolved plan and reads back the metadata file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from hpcbake.adapters.buildx_inspect import parse_inspect
from hpcbake.adapters.processes import run_program
from hpcbake.catalogue import failure_class
from hpcbake.catalogue.causes import find_cause
from hpcbake.errors import BuildError
from hpcbake.model.builders import BuilderInfo
from hpcbake.model.ports import Outcome

_BUILD_TIMEOUT_S = 4 * 3600.0


class Buildx:
    """Builder over the docker command line. `folder` is where relative contexts are looked for."""

    def __init__(
        self,
        *,
        folder: Path,
        environment: Mapping[str, str],
        builder: str | None = None,
        allow: Sequence[str] = (),
        log_path: Path | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._folder = folder
        self._environment = {
            **environment,
            # Default attestations carry timestamps: the index digest would change though nothing else did.
            "BUILDX_NO_DEFAULT_ATTESTATIONS": environment.get("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
            "DOCKER_CLI_HINTS": "false",
        }
        self._builder = builder
        self._allow = tuple(allow)
        self._log_path = log_path
        self._redact = redact
        self._info: BuilderInfo | None = None
        self._knows_allow: bool | None = None

    def pushes_by_digest(self) -> bool:
        """False for the `docker` driver: buildx refuses push-by-digest there whatever the engine can do."""
        return self.describe().driver != "docker"

    def describe(self) -> BuilderInfo:
        """The builder and its nodes; asked once. Raises PrereqError when there is none."""
        if self._info is None:
            outcome = self._run(["docker", "buildx", "inspect", *([self._builder] if self._builder else [])], 60.0)
            if not outcome.ok:
                _raise_build_failure(outcome)
            self._info = parse_inspect(outcome.stdout)
        return self._info

    def _context(self) -> tuple[str, ...]:
        """A builder that is the engine of another Docker context is chosen by that context: buildx insists on it."""
        if not self._builder or self._builder == "default" or self.describe().driver != "docker":
            return ()
        return ("--context", self._builder)

    def _grants(self) -> tuple[str, ...]:
        """What to hand on of --allow: nothing to a buildx that has no such flag, and grants what a plan asks for."""
        if not self._allow:
            return ()
        if self._knows_allow is None:
            self._knows_allow = "--allow " in self._run(["docker", "buildx", "bake", "--help"], 60.0).stdout
        return self._allow if self._knows_allow else ()

    def _run(self, argv: list[str], timeout_s: float) -> Outcome:
        return run_program(
            argv,
            timeout_s=timeout_s,
            environment=self._environment,
            folder=self._folder,
            missing_remedy="install Docker with buildx, or bring the lab up: hpcbake lab up",
        )

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        with tempfile.TemporaryDirectory(prefix="hpcbake-plan-") as scratch:
            plan, metadata = Path(scratch) / "plan.json", Path(scratch) / "metadata.json"
            plan.write_text(document, encoding="utf-8")
            outcome = self._run(self.argv(str(plan), str(metadata), targets), _BUILD_TIMEOUT_S)
            if self._log_path is not None:
                self._log_path.write_text(self._redact(outcome.stderr + outcome.stdout), encoding="utf-8")
            if not outcome.ok:
                _raise_build_failure(outcome)
            return _read_metadata(metadata, targets)

    def argv(self, plan: str, metadata: str, targets: Sequence[str]) -> list[str]:
        """The command, as `--dry-run` shows it."""
        return [
            *("docker", *self._context(), "buildx", "bake", "--progress=plain", "-f", plan),
            *("--metadata-file", metadata),
            *(("--builder", self._builder) if self._builder and not self._context() else ()),
            *(word for grant in self._grants() for word in ("--allow", grant)),
            *targets,
        ]


def _read_metadata(path: Path, targets: Sequence[str]) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(
            f"buildx ended well but left no readable metadata file: {error}",
            remedy="run the same command again; if it stays, look at the disk that holds $TMPDIR",
            kind="image.metadata",
        ) from error
    document = content if isinstance(content, dict) else {}
    missing = [name for name in targets if not isinstance(document.get(name), dict)]
    if missing:
        raise BuildError(
            f"buildx ended well but says nothing of {', '.join(missing)}",
            remedy="run the same command again; if it stays, build that target alone",
            kind="image.metadata",
        )
    return {name: document[name] for name in targets}


def _raise_build_failure(outcome: Outcome) -> NoReturn:
    output = "\n".join(outcome.stderr.strip().splitlines()[-30:])
    cause = find_cause(outcome.stderr, "build")
    if cause is not None:
        failure = failure_class(cause.kind)
        raise failure(
            cause.meaning,
            remedy=cause.remedy,
            kind=cause.kind,
            retryable=failure.retryable or cause.kind == "image.race",
            evidence={"output": output, "cause": cause.name},
        )
    raise BuildError(
        f"docker buildx bake ended with {outcome.exit_code}",
        remedy="its last lines are above",
        evidence={"output": output},
    )
