"""docker buildx bake: the command, the metadata that is believed, and what its failures mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcbake.adapters.buildx import Buildx
from hpcbake.errors import BuildError, HpcbakeError, PrereqError, RegistryError, RegistryTempError

#: Prints what a test wrote, leaves the metadata that it wrote, and notes how it was called.
_DOCKER = """#!/bin/sh
cd "{folder}"
for word; do printf '%s\\n' "$word"; done >argv
env >environment
while [ $# -gt 0 ]; do
  case $1 in --metadata-file) metadata=$2 ;; -f) cp "$2" plan ;; esac
  shift
done
[ ! -e metadata ] || cp metadata "$metadata"
cat stdout 2>/dev/null
cat stderr >&2 2>/dev/null
exit "$(cat code 2>/dev/null || echo 0)"
"""


class Docker:
    """A stand-in for docker on a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/docker").write_text(_DOCKER.format(folder=folder))
        (folder / "bin/docker").chmod(0o755)

    def says(self, *, code: int = 0, stdout: str = "", stderr: str = "", metadata: str | None = None) -> None:
        (self.folder / "code").write_text(str(code))
        (self.folder / "stdout").write_text(stdout)
        (self.folder / "stderr").write_text(stderr)
        if metadata is not None:
            (self.folder / "metadata").write_text(metadata)

    def heard(self, name: str) -> list[str]:
        return (self.folder / name).read_text().splitlines()

    def buildx(self, **choices: object) -> Buildx:
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        return Buildx(folder=self.folder, environment=environment, **choices)  # type: ignore[arg-type]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    made = Docker(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return made


def failure_of(docker: Docker, stderr: str, code: int = 1) -> HpcbakeError:
    docker.says(code=code, stderr=stderr)
    with pytest.raises(HpcbakeError) as caught:
        docker.buildx().bake("{}", ["app"])
    return caught.value


def test_the_plan_is_handed_over_as_a_file(docker: Docker) -> None:
    """Plan, metadata file, builder and grants, and the targets at the end, each a word of its own."""
    docker.says(metadata='{"a b": {"containerimage.digest": "sha256:0"}}', stdout="  --allow stringArray  Allow\n")
    builder = docker.buildx(builder="far away", allow=["network.host", "fs=/x y"])
    assert builder.bake('{"target": {}}', ["a b"]) == {"a b": {"containerimage.digest": "sha256:0"}}
    argv = docker.heard("argv")
    assert argv[:4] == ["buildx", "bake", "--progress=plain", "-f"]
    assert argv[-7:] == ["--builder", "far away", "--allow", "network.host", "--allow", "fs=/x y", "a b"]
    assert docker.heard("plan") == ['{"target": {}}']


def test_a_buildx_without_grants_is_not_given_any(docker: Docker) -> None:
    """An old `buildx bake` knows no --allow, and does what the plan asks for: hpcbake has asked before."""
    docker.says(metadata='{"app": {}}', stdout="  --builder string\n")
    docker.buildx(allow=["network.host"]).bake("{}", ["app"])
    assert "--allow" not in docker.heard("argv")


def test_attestations_do_not_move_the_digest(docker: Docker) -> None:
    """Default attestations carry the time of day."""
    docker.says(metadata='{"app": {}}')
    docker.buildx().bake("{}", ["app"])
    assert "BUILDX_NO_DEFAULT_ATTESTATIONS=1" in docker.heard("environment")


def test_the_log_is_kept(docker: Docker, tmp_path: Path) -> None:
    """Also that of a build that failed."""
    docker.says(code=1, stderr="step 1\n")
    with pytest.raises(BuildError):
        docker.buildx(log_path=tmp_path / "build.log").bake("{}", ["app"])
    assert (tmp_path / "build.log").read_text() == "step 1\n"


@pytest.mark.parametrize(
    "metadata", [None, "", "not json", "[]", "{}", '{"other": {}}', '{"app": null}', '{"app": "x"}']
)
def test_success_without_metadata_is_no_success(docker: Docker, metadata: str | None) -> None:
    """Exit code 0 without a word on the target built nothing that we know of."""
    docker.says(metadata=metadata)
    with pytest.raises(BuildError) as caught:
        docker.buildx().bake("{}", ["app"])
    assert caught.value.kind == "image.metadata"


@pytest.mark.parametrize(("driver", "can"), [("docker", False), ("docker-container", True), ("kubernetes", True)])
def test_only_dockers_own_driver_cannot_push_by_digest(docker: Docker, driver: str, can: bool) -> None:
    """buildx refuses it there."""
    docker.says(stdout=f"Name:   x\nDriver: {driver}\nLast Activity: y\n")
    assert docker.buildx().pushes_by_digest() is can


def test_docker_that_is_not_there_is_a_prerequisite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrereqError, match="docker"):
        Buildx(folder=tmp_path, environment={}).pushes_by_digest()


PUSH = "ERROR: failed to solve: failed to push localhost:5000/team/app: "
STATUS = PUSH + "unexpected status from PUT request to http://localhost:5403/v2/app/manifests/sha256:a401b503c429: "
STEP = 'ERROR: process "/bin/sh -c make\n  all" did not complete successfully: exit code: 2'

CAUSES: list[tuple[str, type[HpcbakeError], str]] = [
    ("ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", PrereqError, "config.docker"),
    ("docker: 'buildx' is not a docker command.", PrereqError, "config.buildx"),
    ('ERROR: no builder "x" found', PrereqError, "config.builder"),
    ("ERROR: additional privileges requested\n - network.host", BuildError, "image.entitlement"),
    ("#8 1.2 pip: 429 Too Many Requests\n" + STEP, BuildError, "image.build"),
    ("#8 1.2 sh: foo: not found\n" + STEP, BuildError, "image.build"),
    (STATUS + "401 Unauthorized", RegistryError, "registry.auth"),
    (STATUS + "403 Forbidden", RegistryError, "registry.auth"),
    (PUSH + "server message: insufficient_scope: authorization failed", RegistryError, "registry.auth"),
    (STATUS + "429 Too Many Requests", RegistryTempError, "registry.rate-limit"),
    (STATUS + "503 Service Unavailable", RegistryTempError, "registry.unavailable"),
    (PUSH + "unexpected status: 500 Internal Server Error", RegistryTempError, "registry.unavailable"),
    (PUSH + "dial tcp 127.0.0.1:5000: connect: connection refused", RegistryTempError, "registry.unavailable"),
    (PUSH + "unexpected EOF", RegistryTempError, "registry.unavailable"),
    (PUSH + "tls: failed to verify certificate: x509: unknown authority", RegistryError, "registry.tls"),
    (STATUS + "400 Bad Request", RegistryError, "registry.push"),
    (STATUS + "413 Request Entity Too Large", RegistryError, "registry.push"),
    ("ERROR: failed to resolve source metadata for docker.io/library/rocky:8.10: not found", BuildError, "image.base"),
    ("ERROR: failed to read dockerfile: open Dockerfile: no such file or directory", BuildError, "image.context"),
    ("ERROR: failed to copy: write /x: no space left on device", BuildError, "image.space"),
    ("ERROR: something new", BuildError, "image.build"),
    ("", BuildError, "image.build"),
]


@pytest.mark.parametrize(("stderr", "failure", "kind"), CAUSES)
def test_a_failure_is_told_by_its_cause(docker: Docker, stderr: str, failure: type[HpcbakeError], kind: str) -> None:
    """A number in a port or a digest is no status code; what was printed is the evidence."""
    error = failure_of(docker, stderr)
    assert (type(error), error.kind) == (failure, kind)
    assert str(error.evidence["output"]) == stderr.strip()
    assert error.remedy


def test_only_the_end_of_a_long_log_is_shown(docker: Docker) -> None:
    """The last lines, not a megabyte."""
    error = failure_of(docker, "\n".join(map(str, range(10_000))))
    assert str(error.evidence["output"]).splitlines() == [str(number) for number in range(9970, 10_000)]


def test_the_command_of_a_dry_run_is_the_command(docker: Docker) -> None:
    """What is shown is what would run."""
    docker.says(metadata=json.dumps({"app": {}}))
    builder = docker.buildx(builder="b")
    builder.bake("{}", ["app"])
    shown = builder.argv("P", "M", ["app"])
    heard = ["docker", *docker.heard("argv")]
    heard[heard.index("-f") + 1], heard[heard.index("--metadata-file") + 1] = "P", "M"
    assert heard == shown
