"""The whole way from bake files to a Plan, in the order in which buildx goes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import Attributes, Entry, find_bool
from hpcbake.bakefile.composeworld import ComposeWorld
from hpcbake.bakefile.definition import Definitions, VariableDefinition, read_definitions
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.inherit import Inheritance
from hpcbake.bakefile.links import link_targets
from hpcbake.bakefile.lookup import RawFile, Stdin, classify, read_files
from hpcbake.bakefile.model import BakeModel, build_model
from hpcbake.bakefile.overrides import apply_overrides, parse_overrides
from hpcbake.bakefile.places import is_remote_url
from hpcbake.bakefile.render import printed_attributes
from hpcbake.bakefile.request import BakeRequest
from hpcbake.bakefile.select import DEFAULT, select
from hpcbake.bakefile.source import COMPOSE, SourceFile
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.bakefile.validate import LocalWorld, validate_plan
from hpcbake.errors import UsageError
from hpcbake.model.plan import Group, Plan, Target
from hpcbake.model.record import Record

_EPOCH = "SOURCE_DATE_EPOCH"


class ReadFiles(Record):
    """All bake files of one request, evaluated and merged; nothing selected yet."""

    model: BakeModel
    variables: tuple[VariableDefinition, ...]
    warnings: tuple[Diagnostic, ...]
    files: tuple[SourceFile, ...]


def resolve(
    request: BakeRequest,
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: Stdin | None = None,
    local_platform: str = "linux/amd64",
) -> Plan:
    """What `docker buildx bake --print` would print for `request`, run in `folder`.

    Raises BakeFileError for anything wrong in the files, UsageError for anything wrong in the request.
    """
    read = read_request(request, folder=folder, environment=environment, stdin=stdin, local_platform=local_platform)
    return plan_of(read, request, folder=folder, environment=environment)


def plan_of(read: ReadFiles, request: BakeRequest, *, folder: Path, environment: Mapping[str, str]) -> Plan:
    """The plan that `request` makes of files that were read already. Raises as `resolve` does."""
    model = read.model
    overrides = parse_overrides(request.all_overrides(), model.targets, environment)
    selection = select(model, request.targets)
    inheritance = Inheritance(model, lambda name, attributes: apply_overrides(attributes, overrides.get(name, {})))
    requested: dict[str, Attributes] = {}
    for name in selection.targets:
        _require_target(model, name, asked=request.targets)
        requested[name] = inheritance.resolve(name)
    linked = link_targets(model, requested, inheritance.resolve)
    dated = {name: _with_epoch(attributes, environment) for name, attributes in linked.items()}
    valid = validate_plan(model, dated, LocalWorld(folder, environment))
    return _plan(valid, selection.groups, read, inheritance.warnings)


def read_request(
    request: BakeRequest,
    *,
    folder: Path,
    environment: Mapping[str, str],
    stdin: Stdin | None = None,
    local_platform: str = "linux/amd64",
) -> ReadFiles:
    """Read, evaluate and merge all the files of `request`."""
    _refuse_remote(request.targets)
    raw = read_files(request.files, folder=folder, environment=environment, stdin=stdin)
    return read_sources(raw, request.variables, folder=folder, environment=environment, local_platform=local_platform)


def read_sources(
    raw: Sequence[RawFile],
    variables: Mapping[str, str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    local_platform: str,
) -> ReadFiles:
    """Evaluate and merge `raw`: compose files first, whatever their place, then all HCL and JSON as one body."""
    known = environment if _reads_environment(environment) else {}
    world = ComposeWorld(folder, known, variables)
    files = [classify(file, is_compose=lambda text: _is_compose(text, world)) for file in raw]
    compose_files = [file for file in files if file.kind == COMPOSE]
    bake_files = [file for file in files if file.kind != COMPOSE]
    compose = _read_compose(compose_files, world) if compose_files else Definitions()
    definitions = Definitions()
    if bake_files:
        definitions = read_definitions(
            bake_files,
            environment=known,
            variables=variables,
            command_context="cwd://",
            local_platform=local_platform,
        )
    model = build_model([*compose.targets, *definitions.targets], [*compose.groups, *definitions.groups])
    return ReadFiles(model, definitions.variables, (*compose.warnings, *definitions.warnings), tuple(files))


def _is_compose(text: str, world: ComposeWorld) -> bool:
    from hpcbake.bakefile.compose import is_compose  # PyYAML is loaded only for those who have compose files

    return is_compose(text, world)


def _read_compose(files: Sequence[SourceFile], world: ComposeWorld) -> Definitions:
    from hpcbake.bakefile.compose import read_compose

    return read_compose(files, world)


def _reads_environment(environment: Mapping[str, str]) -> bool:
    """Whether variables may come from the environment (buildx 0.31 can be told that they may not)."""
    return find_bool(environment.get("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP", "")) is not True


def _refuse_remote(targets: Sequence[str]) -> None:
    for name in targets:
        if is_remote_url(name):
            raise UsageError(
                f"{name} is a remote bake definition, which hpcbake does not fetch",
                remedy="clone the repository and run hpcbake in it",
            )


def _require_target(model: BakeModel, name: str, *, asked: Sequence[str]) -> None:
    if name in model.targets:
        return
    group = next((g for g in model.groups.values() if name in g.targets), None)
    known = [*model.groups, *model.targets]
    if group is None:
        remedy = did_you_mean(name, known, what="target")
        if name == DEFAULT and not asked:
            remedy = f'add group "default" {{ targets = [...] }}, or name a target; {remedy}'
        raise UsageError(f"failed to find target {name}", remedy=remedy)
    raise BakeFileError(
        Diagnostic(
            codes.UNKNOWN_MEMBER,
            f"group {group.name} holds {name}, which is not a target",
            group.span,
            did_you_mean(name, [n for n in known if n != group.name], what="target"),
            detail=f"failed to find target {name}",
        )
    )


def _with_epoch(attributes: Attributes, environment: Mapping[str, str]) -> Attributes:
    """SOURCE_DATE_EPOCH of the environment becomes an argument of every target that does not set it itself."""
    epoch = environment.get(_EPOCH, "")
    args = cast(Entry, attributes.get("args") or {})
    if not epoch or _EPOCH in args:
        return attributes
    return {**attributes, "args": {**args, _EPOCH: epoch}}


def _plan(
    targets: Mapping[str, Attributes], groups: Sequence[Group], read: ReadFiles, warnings: Sequence[Diagnostic]
) -> Plan:
    said = dict.fromkeys([*read.warnings, *warnings])
    return Plan(
        targets={name: Target(name, printed_attributes(a)) for name, a in sorted(targets.items())},
        groups={group.name: group for group in sorted(groups, key=lambda g: g.name)},
        files=tuple(file.name for file in read.files),
        warnings=tuple(warning.as_plan_warning() for warning in said),
    )
