"""`docker buildx bake`: hands BuildKit a resolved plan and reads back the metadata file."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from hpcbake.adapters.buildx_inspect import parse_inspect
from hpcbake.adapters.processes import run_program
from hpcbake.errors import BuildError, HpcbakeError, PrereqError, RegistryError, RegistryTempError
from hpcbake.model.builders import BuilderInfo
from hpcbake.model.ports import Outcome

_BUILD_TIMEOUT_S = 4 * 3600.0

#: pattern in buildx's stderr → (exception, kind, what it means, remedy). First match wins.
_CAUSES: tuple[tuple[str, type[HpcbakeError], str, str, str], ...] = (
    (r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", PrereqError, "config.docker",
     "a node of the builder shows a host key that your ssh does not know",
     "log in there once by hand and compare the key: ssh HOST; then hpcbake builder check"),
    (r"Permission denied \(publickey|Permission denied, please try again", PrereqError, "config.docker",
     "a node of the builder refuses the login", "load the key into your ssh agent (ssh-add); hpcbake builder check"),
    (r"Cannot connect to the Docker daemon|docker daemon is not running|dial unix .*docker\.sock|error during connect",
     PrereqError, "config.docker", "the Docker daemon does not answer", "start Docker, or give --builder"),
    (r"'buildx' is not a docker command|unknown command.*buildx|unknown flag: --metadata-file",
     PrereqError, "config.buildx", "docker has no buildx plugin", "install docker-buildx 0.13 or newer"),
    (r"no builder .* found", PrereqError, "config.builder", "there is no such builder", "list them: docker buildx ls"),
    (r"(?:image|failed to (?:create|export)).*already exists", BuildError, "image.race",
     "another build of the same image was faster", "run the same command again"),
    (r"additional privileges requested", BuildError, "image.entitlement",
     "the plan asks for privileges that were not given", "pass what you accept of the list above with --allow"),
    (r"process \"(?:.|\n)*?\" did not complete successfully", BuildError, "image.build", "a build step failed",
     "the failing instruction and its last lines are above"),
    (r"(?:failed to push|push access denied|server message: insufficient_scope|failed to authorize).*"
     r"(?::? 40[13] [A-Z]|denied|[Uu]nauthorized|insufficient_scope|no basic auth)|no basic auth credentials",
     RegistryError, "registry.auth", "the registry refused the login", "log in: docker login REGISTRY"),
    (r"429 Too Many Requests|toomanyrequests", RegistryTempError, "registry.rate-limit",
     "the registry's rate limit is used up", "try later"),
    (r"x509: ", RegistryError, "registry.tls", "the registry's certificate is not trusted by the builder",
     "give the builder the registry's CA"),
    (r"failed to push .*(?:connection refused|connection reset|EOF|timeout|:? 50\d [A-Z])", RegistryTempError,
     "registry.unavailable", "the push did not get through", "run the same command again"),
    (r"failed to push ", RegistryError, "registry.push", "the registry did not take the image",
     "the registry's own words are above"),
    (r"failed to resolve source metadata for|pull access denied|failed to load metadata|: not found\b", BuildError,
     "image.base", "a base image cannot be found",
     "check the FROM lines; `rockylinux:8.10` is published as `rockylinux/rockylinux:8.10`"),
    (r"failed to read dockerfile|no such file or directory", BuildError, "image.context",
     "a Dockerfile or a file of the context is missing", "paths are relative to the folder hpcbake runs in"),
    (r"no space left on device", BuildError, "image.space", "the builder's disk is full", "docker buildx prune"),
)  # fmt: skip


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
            *("docker", "buildx", "bake", "--progress=plain", "-f", plan, "--metadata-file", metadata),
            *(("--builder", self._builder) if self._builder else ()),
            *(word for grant in self._grants() for word in ("--allow", grant)),
            *targets,
        ]


def _read_metadata(path: Path, targets: Sequence[str]) -> dict[str, dict[str, object]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(
            f"buildx ended well but left no readable metadata file: {error}", kind="image.metadata"
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
    for pattern, failure, kind, meaning, remedy in _CAUSES:
        if re.search(pattern, outcome.stderr):
            raise failure(
                meaning,
                remedy=remedy,
                kind=kind,
                retryable=failure.retryable or kind == "image.race",
                evidence={"output": output},
            )
    raise BuildError(
        f"docker buildx bake ended with {outcome.exit_code}",
        remedy="its last lines are above",
        evidence={"output": output},
    )
