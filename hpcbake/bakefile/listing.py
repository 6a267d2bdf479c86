"""`--list=targets` and `--list=variables`: what a bake file offers, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hpcbake.bakefile.csvfields import MalformedValueError, split_fields
from hpcbake.bakefile.definition import VariableDefinition
from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.render import render_json
from hpcbake.errors import UsageError
from hpcbake.model.late import dataclass
from hpcbake.model.plan import JsonValue

_KINDS = ("targets", "variables")
_FORMATS = ("table", "json")


@dataclass(frozen=True)
class ListRequest:
    """What `--list` asks for: `targets` or `variables`, as a `table` or as `json`."""

    kind: str
    format: str = "table"


def parse_list_request(text: str) -> ListRequest:
    """Read `targets`, `variables` or `type=variables,format=json`. Raises UsageError for anything else."""
    kind, form = "", ""
    try:
        fields = split_fields(text)
    except MalformedValueError as malformed:
        raise UsageError(f"--list={text}: {malformed.message}", remedy="write --list=targets") from malformed
    if len(fields) == 1 and not text.startswith("type="):
        kind = text
    else:
        for field in fields:
            key, equals, value = field.partition("=")
            key = key.strip().lower()
            if not equals or key not in ("type", "format"):
                raise UsageError(f"--list={text}: unexpected {field}", remedy="write --list=type=targets,format=json")
            kind, form = (value, form) if key == "type" else (kind, value)
    form = form or "table"
    if kind not in _KINDS:
        raise UsageError(f'invalid list type "{kind}"', remedy="write --list=targets or --list=variables")
    if form not in _FORMATS:
        raise UsageError(f'invalid list format "{form}"', remedy="format is table or json")
    return ListRequest(kind, form)


def render_targets(model: BakeModel, form: str) -> str:
    """Targets and groups by name with their descriptions; names that start with `_` are private."""
    rows: list[tuple[str, str, bool]] = [
        (target.name, str(target.attributes.get("description") or ""), False) for target in model.targets.values()
    ]
    for group in model.all_groups:
        members = ", ".join(sorted(set(group.targets)))
        text = f"{group.description} ({members})" if group.description and members else group.description or members
        rows.append((group.name, text, True))
    shown = sorted((row for row in rows if not row[0].startswith("_")), key=lambda row: row[0])
    if form == "table":
        return align([("TARGET", "DESCRIPTION"), *((name, text) for name, text, _ in shown)])
    items: list[JsonValue] = [
        {"name": name, **({"description": text} if text else {}), **({"group": True} if is_group else {})}
        for name, text, is_group in shown
    ]
    return render_json(items or None)


def render_variables(variables: Iterable[VariableDefinition], form: str) -> str:
    """Declared variables by name with type, value and description."""
    ordered = sorted(variables, key=lambda variable: variable.name)
    if form == "table":
        rows = [(v.name, v.type_name, "<null>" if v.value is None else v.value, v.description) for v in ordered]
        return align([("VARIABLE", "TYPE", "VALUE", "DESCRIPTION"), *rows])
    items: list[JsonValue] = []
    for variable in ordered:
        texts = {"description": variable.description, "type": variable.type_name}
        item: dict[str, JsonValue] = {"name": variable.name, **{key: text for key, text in texts.items() if text}}
        if variable.value is not None:
            item["value"] = variable.value
        items.append(item)
    return render_json(items)


def align(rows: Sequence[tuple[str, ...]]) -> str:
    """`rows` with columns aligned by tabs of eight, as Go's tabwriter does; the last column ends where it ends."""
    widths = [max(len(row[i]) for row in rows) + 1 for i in range(len(rows[0]) - 1)]
    stops = [-(-width // 8) * 8 for width in widths]
    lines = []
    for row in rows:
        cells = [cell + "\t" * -(-(stop - len(cell)) // 8) for cell, stop in zip(row, stops, strict=False)]
        lines.append("".join(cells) + row[-1])
    return "\n".join(lines)
