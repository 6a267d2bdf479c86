"""Logins from a credential helper, as docker asks it: of one registry (`credHelpers`), or of all (`credsStore`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.siteless]

#: Speaks docker's protocol: the server on standard input, its login as JSON on standard output, or docker's own words
#: for "I have none". Notes what it was asked.
HELPER = """\
#!/bin/sh
read -r server
echo "$1 $server" >> "$HELPER_LOG"
if test "$1 $server" = "get $HELPER_SERVER"; then
    printf '{"ServerURL":"%s","Username":"baker","Secret":"%s"}\\n' "$server" "$(cat "$HELPER_PASSWORD")"
else
    echo "credentials not found in native keychain"
    exit 1
fi
"""


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_docker_and_the_check_ask_the_same_helper(lab: RunningLab, tmp_path: Path, key: str) -> None:
    """What docker pushes with a helper's login, the check reads with it; the password stands in no file or output."""
    environ = with_helper(lab, tmp_path, key)
    reference = f"{lab.registry_tls}/helper-{uuid.uuid4().hex[:8]}/app:1"
    push(lab, environ, reference)
    asked = Path(environ["HELPER_LOG"]).read_text().splitlines()
    done = check(environ, lab, reference)
    assert done.returncode == 0, done.stderr
    again = Path(environ["HELPER_LOG"]).read_text().splitlines()[len(asked) :]
    assert again == [f"get {lab.registry_tls}"], "asked once, for this registry only"
    password = (lab.state / "registry-password").read_text().strip()
    assert password not in done.stdout + done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and password in path.read_text("latin-1")]


def test_a_helper_that_is_missing_or_has_no_login_is_named(lab: RunningLab, tmp_path: Path) -> None:
    """Without the program: what is missing. With it, but without a login: which command makes one."""
    environ = with_helper(lab, tmp_path, "credHelpers")
    reference = f"{lab.registry_tls}/helper-{uuid.uuid4().hex[:8]}/app:1"
    push(lab, environ, reference)
    stranger = check({**environ, "HELPER_SERVER": "elsewhere"}, lab, reference)
    assert stranger.returncode == 21, stranger.stderr
    assert f"docker login {lab.registry_tls}" in stranger.stderr
    (tmp_path / "bin/docker-credential-labsafe").unlink()
    without = check(environ, lab, reference)
    assert without.returncode == 11, without.stderr
    assert "docker-credential-labsafe" in without.stderr
    assert "Traceback" not in stranger.stderr + without.stderr


def with_helper(lab: RunningLab, folder: Path, key: str) -> Mapping[str, str]:
    """An environment whose docker config names a helper, and whose PATH has it."""
    (folder / "bin").mkdir()
    helper = folder / "bin/docker-credential-labsafe"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    (folder / "docker").mkdir()
    config = {key: "labsafe" if key == "credsStore" else {lab.registry_tls: "labsafe"}}
    (folder / "docker/config.json").write_text(json.dumps(config))
    return {
        **lab.env,
        "PATH": f"{folder / 'bin'}:{lab.env.get('PATH', os.environ['PATH'])}",
        "DOCKER_CONFIG": str(folder / "docker"),
        "HELPER_LOG": str(folder / "asked"),
        "HELPER_SERVER": lab.registry_tls,
        "HELPER_PASSWORD": str(lab.state / "registry-password"),
    }


def push(lab: RunningLab, environ: Mapping[str, str], reference: str) -> None:
    """Give the registry an image, by docker's own client."""
    for words in (
        ["pull", "-q", lab.env["BASE_MINIMAL"]],
        ["tag", lab.env["BASE_MINIMAL"], reference],
        ["push", "-q", reference],
        ["rmi", reference],
    ):
        done = subprocess.run(["docker", *words], env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr


def check(environ: Mapping[str, str], lab: RunningLab, reference: str) -> subprocess.CompletedProcess[str]:
    """`hpcbake check` of a reference, under this environment."""
    authority = str(lab.state / "ca.crt")
    argv = [
        sys.executable,
        "-m",
        "hpcbake",
        "check",
        reference,
        "--profile",
        "rocky-8.10",
        "--no-cache",
        "--ca-file",
        authority,
    ]
    return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=300, check=False)
