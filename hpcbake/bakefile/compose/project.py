"""All compose files of a run together as definitions: a target per service, and the `default` group of them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.compose.load import Loader
from hpcbake.bakefile.compose.schema import find_violations
from hpcbake.bakefile.compose.targets import ServiceWorld, pairs_of, target_of
from hpcbake.bakefile.compose.tree import Node
from hpcbake.bakefile.composeworld import ComposeWorld
from hpcbake.bakefile.csvfields import MalformedValueError
from hpcbake.bakefile.definition import Definitions, GroupDefinition, TargetDefinition
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.dotenv import parse_dotenv
from hpcbake.bakefile.source import COMPOSE, SourceFile, Span
from hpcbake.bakefile.suggestion import did_you_mean

_TARGET_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_PROJECT = "COMPOSE_PROJECT_NAME"
_RELEVANT = ("image", "build", "environment", "env_file")


def is_compose(text: str, world: ComposeWorld) -> bool:
    """Whether `text` by itself is a valid compose file."""
    try:
        _load([SourceFile("-", text, COMPOSE)], world)
    except BakeFileError:
        return False
    return True


def read_compose(files: Sequence[SourceFile], world: ComposeWorld) -> Definitions:
    """The targets and the default group that `files` define together.

    Raises BakeFileError for everything that the compose specification does not allow where bake looks.
    """
    if len(files) > 1:
        for file in files:  # each must be valid by itself, which also gives errors in terms of one file
            _load([file], world)
    loader, document, environment = _load(files, world)
    services = document.get("services")
    problems = list(_inconsistencies(document))
    if problems:
        raise BakeFileError(problems)
    secrets = document.get("secrets")
    targets: list[TargetDefinition] = []
    warnings = list(loader.warnings)
    for name, service in sorted(services.mapping.items() if services else ()):
        if service.get("build") is None:
            continue
        variables = _service_environment(service, loader, environment)
        world_of_service = ServiceWorld(secrets.mapping if secrets else {}, variables.get)
        target, found = target_of(name, service, world_of_service)
        _require_target_name(name, target)
        targets.append(target)
        warnings += found
    groups = _default_group(services, targets)
    return Definitions(tuple(targets), groups, (), tuple(warnings))


def _load(files: Sequence[SourceFile], world: ComposeWorld) -> tuple[Loader, Node, Mapping[str, str]]:
    environment = project_environment(files, world)
    loader = Loader(world.folder, environment)
    document = _relevant(loader.load(files))
    if not document.mapping:
        raise BakeFileError(
            Diagnostic(codes.COMPOSE_SYNTAX, f"{files[0].name} is an empty compose file", help="add services: to it")
        )
    violations = list(find_violations(document))
    if violations:
        raise BakeFileError(violations)
    return loader, document, environment


def project_environment(files: Sequence[SourceFile], world: ComposeWorld) -> dict[str, str]:
    """The variables of compose files: `--var` over the environment over `.env`, and the project's name."""
    environment = {**_read_dotenv(world), **world.environment, **world.variables}
    environment.setdefault(_PROJECT, "")
    environment[_PROJECT] = environment[_PROJECT] or _project_name(files)
    return environment


def _project_name(files: Sequence[SourceFile]) -> str:
    """What the last file says in `name:`, else `bake`. A rough look is enough: the value is rarely used."""
    for file in reversed(files):
        match = re.search(r"^name:[ \t]*['\"]?([A-Za-z0-9_-]+)", file.text, re.MULTILINE)
        if match:
            return match.group(1)
    return "bake"


def _read_dotenv(world: ComposeWorld) -> dict[str, str]:
    path = world.folder / ".env"
    if not path.is_file():
        return {}
    environment = {**world.environment, **world.variables}
    try:
        return parse_dotenv(path.read_text(encoding="utf-8"), environment.get)
    except (OSError, UnicodeDecodeError) as error:
        raise BakeFileError(Diagnostic(codes.COMPOSE_ENV_FILE, f".env cannot be read: {error}")) from error
    except MalformedValueError as malformed:
        raise BakeFileError(
            Diagnostic(codes.COMPOSE_ENV_FILE, f".env: {malformed.message}", help=malformed.help)
        ) from malformed


def _relevant(document: Node) -> Node:
    """Services with the keys that bake looks at, and secrets; nothing else of a compose file concerns it."""
    kept: dict[str, Node] = {}
    services = document.get("services")
    if services is not None:
        kept["services"] = services.with_value(
            {
                name: service.with_value({k: v for k, v in service.mapping.items() if k in _RELEVANT})
                for name, service in services.mapping.items()
            }
        )
    secrets = document.get("secrets")
    if secrets is not None:
        kept["secrets"] = secrets
    return document.with_value(kept)


def _inconsistencies(document: Node) -> Iterator[Diagnostic]:
    services, secrets = document.get("services"), document.get("secrets")
    known = services.mapping if services else {}
    for name, service in known.items():
        build = service.get("build")
        if build is None:
            if service.get("image") is None:
                yield _inconsistency(
                    service,
                    f'service "{name}" has neither an image nor a build context specified',
                    "add build: FOLDER, or image: NAME",
                )
            continue
        if _is_set(build, "dockerfile") and _is_set(build, "dockerfile_inline"):
            yield _inconsistency(
                build, f'service "{name}" declares both dockerfile and dockerfile_inline', "keep one of the two"
            )
        yield from _unknown_services(name, build, known)
    for name, secret in secrets.mapping.items() if secrets else ():
        external = secret.get("external")
        is_external = external is not None and external.value is True
        if not is_external and not any(secret.get(key) for key in ("file", "environment", "driver")):
            yield _inconsistency(
                secret, f'secret "{name}" must declare either `file` or `environment`', "add one of the two"
            )


def _is_set(build: Node, key: str) -> bool:
    node = build.get(key)
    return node is not None and node.value not in (None, "")


def _unknown_services(name: str, build: Node, services: Mapping[str, Node]) -> Iterator[Diagnostic]:
    contexts = build.get("additional_contexts")
    for context, node in contexts.mapping.items() if contexts else ():
        if not (isinstance(node.value, str) and node.value.startswith("service:")):
            continue
        other = node.value.removeprefix("service:")
        if other not in services:
            yield _inconsistency(
                node,
                f'service "{name}" declares unknown service "{other}" as additional context {context}',
                did_you_mean(other, services, what="service"),
            )
        elif services[other].get("build") is None:
            yield _inconsistency(
                node,
                f'service "{name}" declares non-buildable service "{other}" as additional context {context}',
                f"add build: to {other}, or name an image with docker-image://",
            )


def _inconsistency(node: Node, message: str, help_line: str) -> Diagnostic:
    return Diagnostic(codes.COMPOSE_REFERENCE, message, node.span, help_line, detail=message)


def _service_environment(service: Node, loader: Loader, project: Mapping[str, str]) -> dict[str, str]:
    """What arguments without a value may take: the service's own variables over the project's."""
    own: dict[str, str | None] = {}
    environment = service.get("environment")
    if environment is not None:
        for key, value in pairs_of(environment):
            own[key] = project.get(key) if value is None else value
    known = {key: value for key, value in own.items() if value is not None}
    from_files: dict[str, str] = {}
    env_file = service.get("env_file")
    written = () if env_file is None else env_file.items if isinstance(env_file.value, list) else (env_file,)
    for entry in written:
        path = entry.get("path") or entry
        required = entry.get("required")
        is_optional = required is not None and required.value is False
        if is_optional and not (loader.folder / str(path.value)).is_file():
            continue
        from_files.update(loader.read_env_file(str(path.value), project, entry))
    return {**project, **from_files, **known}


def _require_target_name(name: str, target: TargetDefinition) -> None:
    if not _TARGET_NAME.fullmatch(target.name):
        raise BakeFileError(
            Diagnostic(
                codes.COMPOSE_SCHEMA,
                f'invalid service name "{name}": only "[a-zA-Z0-9_-]+" are allowed for what is built',
                target.span,
                "use letters, digits, - and _",
            )
        )


def _default_group(services: Node | None, targets: Sequence[TargetDefinition]) -> tuple[GroupDefinition, ...]:
    if services is None or not services.mapping:
        return ()
    span: Span = services.span
    return (GroupDefinition("default", tuple(target.name for target in targets), "", span),)
