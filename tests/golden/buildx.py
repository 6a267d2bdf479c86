"""The real `docker buildx bake`, for tests that compare: found through HPCBAKE_BUILDX or the PATH."""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcbake.bakefile import BakeRequest, resolve
from hpcbake.errors import HpcbakeError
from hpcbake.model.plan import JsonValue

#: The release whose language hpcbake speaks; others differ, older ones a great deal.
ORACLE = re.compile(r"\bv?0\.29\.")
_PLUGIN_FOLDERS = (
    "/usr/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/local/lib/docker/cli-plugins",
)


@functools.cache
def find_buildx() -> list[str] | None:
    """The buildx plugin of the release that is the oracle, called without docker; None when it is not installed."""
    named = os.environ.get("HPCBAKE_BUILDX")
    config = os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker"))
    folders = [f"{config}/cli-plugins", *_PLUGIN_FOLDERS]
    found = [named.split()] if named else [[path] for path in (shutil.which("docker-buildx"),) if path]
    found += [[f"{folder}/docker-buildx"] for folder in folders if Path(folder, "docker-buildx").is_file()]
    return next((command for command in found if ORACLE.search(_version(command))), None)


def _version(command: list[str]) -> str:
    done = subprocess.run([*command, "version"], env=clean_environment({}), capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Put `files` below `folder`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that both programs get: nothing of the machine but a home and a path."""
    return {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", **environment}


def buildx_plan(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> JsonValue | str:
    """What buildx prints in `folder`, or its error as a text."""
    buildx = find_buildx()
    assert buildx is not None
    done = subprocess.run(
        [*buildx, "bake", "--print", *arguments],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", "panic"))]
        return lines[-1] if lines else done.stderr[-200:]
    plan: JsonValue = json.loads(done.stdout)
    return plan


def parse_arguments(arguments: Sequence[str]) -> BakeRequest:
    """The part of a bake command line that tests use, as a request."""
    files: list[str] = []
    targets: list[str] = []
    overrides: list[str] = []
    flags: dict[str, str] = {}
    waiting = iter(arguments)
    for argument in waiting:
        if argument in ("-f", "--set"):
            (files if argument == "-f" else overrides).append(next(waiting))
        elif argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            flags[name.replace("-", "_")] = value if equals else "true"
        else:
            targets.append(argument)
    booleans = {name: value == "true" for name, value in flags.items()}
    return BakeRequest(
        files=tuple(files),
        targets=tuple(targets),
        overrides=tuple(overrides),
        push=booleans.get("push"),
        load=booleans.get("load"),
        no_cache=booleans.get("no_cache"),
        pull=booleans.get("pull"),
        sbom=flags.get("sbom"),
        provenance=flags.get("provenance"),
        call=flags.get("call"),
    )


@functools.cache
def _cache_folder() -> str:
    """One cache of syntax trees for all cases of this process, gone with it."""
    folder = tempfile.mkdtemp(prefix="hpcbake-golden-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def our_plan(folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> JsonValue | str:
    """What hpcbake resolves in `folder`, or its error as a text."""
    ours = {**clean_environment(environment), "HPCBAKE_CACHE_DIR": _cache_folder()}
    try:
        plan = resolve(parse_arguments(arguments), folder=folder, environment=ours)
    except HpcbakeError as error:
        return error.message
    return plan.as_json()


def comparable(plan: JsonValue | str) -> JsonValue | str:
    """`plan` without what is random in buildx: the order of a matrix's names, of ulimits and of forced outputs.

    All errors are alike: their words are not compared.
    """
    if not isinstance(plan, dict):
        return "error"
    groups, targets = plan.get("group"), plan.get("target")
    assert isinstance(groups or {}, dict)
    assert isinstance(targets or {}, dict)
    result: dict[str, JsonValue] = {}
    if isinstance(groups, dict):
        result["group"] = {name: _sorted_lists(group, ("targets",)) for name, group in groups.items()}
    if isinstance(targets, dict) and targets:
        result["target"] = {name: _sorted_lists(target, ("ulimits", "output")) for name, target in targets.items()}
    return result


def _sorted_lists(value: JsonValue, keys: Sequence[str]) -> JsonValue:
    assert isinstance(value, dict)
    result = dict(value)
    for key in keys:
        if key in result or key == "targets":
            items = result.get(key) or []
            assert isinstance(items, list)
            result[key] = sorted(items, key=json.dumps)
    return result
