"""What the names on the command line mean: wildcards, groups in groups, and the `default` group that is printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.pathmatch import compile_pattern, has_wildcards
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.errors import UsageError
from hpcbake.model.plan import Group
from hpcbake.model.record import Record

DEFAULT = "default"


class Selection(Record):
    """The targets that were asked for, in the order they were met, and the groups to print."""

    targets: tuple[str, ...]
    groups: tuple[Group, ...]


def sanitise_target_name(name: str) -> str:
    """`name` with `.` as `_`: compose services may have dots, targets may not."""
    return name.replace(".", "_")


def select(model: BakeModel, requested: Sequence[str]) -> Selection:
    """Resolve the names of a command line (none means `default`) against `model`.

    Names that are neither a group nor a target are kept; looking the target up later says so.
    Raises UsageError when a wildcard matches nothing.
    """
    names = expand_names(model, [sanitise_target_name(name) for name in requested or (DEFAULT,)])
    targets: dict[str, None] = {}
    met: dict[str, None] = {}
    for name in names:
        _walk(model, name, targets, met)
    return Selection(tuple(targets), tuple(_printed_groups(model, names, met)))


def expand_names(model: BakeModel, names: Iterable[str]) -> list[str]:
    """`names` with wildcards replaced by the groups and targets that they match, each once."""
    expanded: dict[str, None] = {}
    for name in names:
        for match in _matches(model, name) if has_wildcards(name) else [name]:
            expanded[match] = None
    return list(expanded)


def _matches(model: BakeModel, pattern: str) -> list[str]:
    expression = compile_pattern(pattern)
    candidates = [*model.groups, *model.targets]
    found = [name for name in candidates if expression.fullmatch(name)] if expression else []
    if not found:
        raise UsageError(
            f'could not find any target matching "{pattern}"',
            remedy=did_you_mean(pattern.strip("*?"), candidates, what="target"),
        )
    return found


def _walk(model: BakeModel, start: str, targets: dict[str, None], met: dict[str, None]) -> None:
    """Add what `start` reaches: groups to `met`, everything else to `targets`.

    A group that is still open when it is met again means the target of that name, and so does a group without
    targets inside another; that is how `group "app" { targets = ["app", "db"] }` works.
    """
    if start not in model.groups:
        targets[start] = None
        return
    opened = {start}
    closed: set[str] = set()
    met[start] = None
    stack = [(start, iter(model.groups[start].targets))]
    while stack:
        name, members = stack[-1]
        member = next(members, None)
        if member is None:
            stack.pop()
            opened.discard(name)
            closed.add(name)
        elif member in opened or member not in model.groups:
            targets[member] = None
        elif member not in closed:
            met[member] = None
            if model.groups[member].targets:
                opened.add(member)
                stack.append((member, iter(model.groups[member].targets)))
            else:
                targets[member] = None


def _printed_groups(model: BakeModel, names: Sequence[str], met: Iterable[str]) -> list[Group]:
    """The groups met, and a `default` that holds what was asked for. Only `default` is sorted."""
    groups = {name: Group(name, _unique(model.groups[name].targets), model.groups[name].description) for name in met}
    for name in names:
        default = groups.get(DEFAULT)
        if default is not None and name == DEFAULT:
            continue
        former = default or Group(DEFAULT, ())
        groups[DEFAULT] = Group(DEFAULT, (*former.targets, name), former.description)
    if DEFAULT in groups:
        default = groups[DEFAULT]
        groups[DEFAULT] = Group(DEFAULT, tuple(sorted(set(default.targets))), default.description)
    return list(groups.values())


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
