"""What buildx checks of a plan even when it only prints it: usable values, and local files that must exist.

Nothing is created here; buildx opens the files that `output` names as soon as it prints.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import Attributes, Entry, find_bool
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.places import is_git_over_ssh, printed_context
from hpcbake.bakefile.valuecheck import VALUE_CHECKS
from hpcbake.model.record import Record

LARGEST_SECRET_BYTES: Final = 500 * 1024


class LocalWorld(Record):
    """Where relative paths start, and the environment that secrets and ssh agents come from."""

    folder: Path
    environment: Mapping[str, str]

    def path(self, text: str) -> Path:
        return self.folder / text


def validate_plan(model: BakeModel, plan: Mapping[str, Attributes], world: LocalWorld) -> dict[str, Attributes]:
    """`plan` with contexts in their printed form. Raises BakeFileError with everything that could not be built."""
    problems: list[Diagnostic] = []
    for name, attributes in sorted(plan.items()):
        target = model.targets.get(name)
        for attribute, malformed in find_problems(attributes, world):
            problems.append(
                Diagnostic(
                    codes.UNBUILDABLE,
                    f"{attribute} of target {name}: {malformed.message}",
                    target.span_of(attribute) if target else None,
                    malformed.help,
                    detail=malformed.detail,
                )
            )
    if problems:
        raise BakeFileError(problems)
    return {name: _printed(attributes) for name, attributes in plan.items()}


def find_problems(attributes: Attributes, world: LocalWorld) -> Iterator[tuple[str, MalformedValueError]]:
    """What is wrong with one resolved target: attribute and reason."""
    for attribute in (*VALUE_CHECKS, *_WORLD_CHECKS):
        value = attributes.get(attribute)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            try:
                if attribute in VALUE_CHECKS:
                    VALUE_CHECKS[attribute](item)
                else:
                    _WORLD_CHECKS[attribute](item, world)
            except MalformedValueError as malformed:
                yield attribute, malformed
    yield from _stdout_used_twice(attributes)
    if not attributes.get("ssh") and is_git_over_ssh(printed_context(str(attributes.get("context", ".")))):
        try:
            _check_ssh({"id": "default"}, world)
        except MalformedValueError as malformed:
            yield "context", malformed


def _printed(attributes: Attributes) -> Attributes:
    result = {**attributes, "context": printed_context(str(attributes.get("context", ".")))}
    outputs = cast(list[Entry], attributes.get("output") or [])
    if outputs:
        result["output"] = [_with_stdout(output) for output in outputs]
    return result


def _with_stdout(output: Entry) -> Entry:
    """A tar without a destination goes to stdout, and the plan says so."""
    if output.get("dest") or not (output.get("type") == "tar" or (output.get("type") == "oci" and _is_tar(output))):
        return output
    return {**output, "dest": "-"}


def _is_tar(output: Entry) -> bool:
    return find_bool(str(output.get("tar", ""))) is not False


def _check_secret(value: object, world: LocalWorld) -> None:
    secret = cast(Entry, value)
    name = str(secret.get("id", ""))
    if not name:
        raise MalformedValueError(
            "a secret has no id", detail="secret missing ID", help="add id=NAME; the Dockerfile mounts it by that name"
        )
    source = str(secret.get("src", ""))
    if not source and (secret.get("env") or name in world.environment):
        return
    source = source or name
    try:
        size = world.path(source).stat().st_size
    except (OSError, ValueError) as error:
        raise MalformedValueError(
            f"there is no file {source} for secret {name} ({_reason(error)})",
            help=f"create it, or take the secret from the environment: id={name},env=VARIABLE",
        ) from error
    if size > LARGEST_SECRET_BYTES:
        raise MalformedValueError(
            f"secret {name} is larger than 500 KiB", help="mount large files as a context instead"
        )


def _check_ssh(value: object, world: LocalWorld) -> None:
    entry = cast(Entry, value)
    name = str(entry.get("id") or "default")
    paths = [path for path in cast(list[str], entry.get("paths") or []) if path]
    if not paths:
        agent = world.environment.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise MalformedValueError(
                f'"{name}" needs an ssh agent, and SSH_AUTH_SOCK is not set',
                help=f'start ssh-agent, or name a key: ssh = ["{name}=$HOME/.ssh/id_ed25519"]',
            )
        paths = [agent]
    sockets = [path for path in paths if _is_socket(name, path, world)]
    if sockets and len(paths) > 1:
        raise MalformedValueError(f'"{name}" may have one socket, or keys', help="name one socket, or keys only")


def _is_socket(name: str, path: str, world: LocalWorld) -> bool:
    """Whether `path` is an agent's socket; otherwise it must be a readable private key."""
    try:
        if stat.S_ISSOCK(world.path(path).stat().st_mode):
            return True
        key = world.path(path).read_bytes()[: 100 * 1024]
    except (OSError, ValueError) as error:
        raise MalformedValueError(
            f'{path} of "{name}" cannot be read ({_reason(error)})', help="name an agent's socket or a private key"
        ) from error
    if b"-----BEGIN" not in key:
        raise MalformedValueError(
            f'{path} of "{name}" is not a private key', help="name a private key, not the .pub file"
        )
    return False


def _check_output(value: object, world: LocalWorld) -> None:
    output = cast(Entry, value)
    kind, place = str(output.get("type", "")), str(output.get("dest", ""))
    if not kind:
        raise MalformedValueError("type is required for output", help="add type=image, type=docker, type=local, …")
    if kind == "local" or (kind in ("oci", "docker") and not _is_tar(output)):
        _check_destination_folder(kind, place, world)
    elif kind in ("tar", "oci", "docker") and place not in ("", "-"):
        _check_destination_file(place, world)


def _check_destination_folder(kind: str, place: str, world: LocalWorld) -> None:
    if not place:
        raise MalformedValueError(f"dest is required for the {kind} exporter", help="add dest=FOLDER")
    if place == "-":
        raise MalformedValueError(f"dest cannot be standard output for the {kind} exporter", help="add dest=FOLDER")
    if _exists(place, world) and not world.path(place).is_dir():
        raise MalformedValueError(f"destination directory {place} is a file", help="name a folder")


def _check_destination_file(place: str, world: LocalWorld) -> None:
    if _exists(place, world) and world.path(place).is_dir():
        raise MalformedValueError(
            f"destination file {place} is a directory", help=f"name a file: dest={place}/image.tar"
        )
    if not world.path(place).parent.is_dir():
        raise MalformedValueError(
            f"failed to open {place}: no such file or directory", help=f"create the folder of {place} first"
        )


def _exists(place: str, world: LocalWorld) -> bool:
    try:
        return world.path(place).exists()
    except (OSError, ValueError) as error:
        raise MalformedValueError(
            f"invalid destination {place} ({_reason(error)})", help="name another place"
        ) from error


def _stdout_used_twice(attributes: Attributes) -> Iterator[tuple[str, MalformedValueError]]:
    outputs = cast(list[Entry], attributes.get("output") or [])
    to_stdout = [o for o in outputs if o.get("type") in ("tar", "oci", "docker") and _with_stdout(o).get("dest") == "-"]
    if len(to_stdout) > 1:
        yield (
            "output",
            MalformedValueError("several outputs write to standard output", help="add dest=FILE to all but one"),
        )


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


_WORLD_CHECKS: Final[Mapping[str, Callable[[object, LocalWorld], None]]] = {
    "secret": _check_secret,
    "ssh": _check_ssh,
    "output": _check_output,
}
