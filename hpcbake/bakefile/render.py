"""A plan as text: the very bytes of `docker buildx bake --print`, and a plan that any older buildx reads alike.

Both undo what reading would do: a literal `${` or `%{` is written doubled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from hpcbake.bakefile.attributes import PRINT_ORDER, Attributes
from hpcbake.bakefile.csvfields import join_fields
from hpcbake.model.plan import JsonValue, Plan

#: The attributes whose values `--print` escapes; it leaves all others as they are.
_ESCAPED = frozenset({"annotations", "dockerfile-inline", "labels", "args", "extra-hosts"})

#: Bytes of the environment that are not UTF-8 come as lone surrogates; Go prints the replacement character for them.
_GO_ESCAPES = {
    **str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}),
    **dict.fromkeys(range(0xD800, 0xE000), "\\ufffd"),
}


def escape_template(text: str) -> str:
    """`text` so that evaluating it as an HCL template gives `text` again."""
    return text.replace("${", "$${").replace("%{", "%%{")


def unescape_template(text: str) -> str:
    """What `escape_template` was given."""
    return text.replace("%%{", "%{").replace("$${", "${")


def printed_attributes(attributes: Attributes) -> dict[str, JsonValue]:
    """`attributes` as the object that `--print` shows: in its order, without what is empty, maps sorted by key."""
    ordered = [name for name in PRINT_ORDER if name in attributes]
    return {name: _printed_value(name, attributes[name]) for name in ordered if not _is_omitted(name, attributes[name])}


def _is_omitted(name: str, value: JsonValue) -> bool:
    return value is None or value == [] or value == {} or (name == "description" and value == "")


def _printed_value(name: str, value: JsonValue) -> JsonValue:
    escape = escape_template if name in _ESCAPED else str
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {k: escape(v) if isinstance(v, str) else v for k, v in sorted(value.items()) if v is not None}
    if isinstance(value, list):
        return [_printed_item(name, item) for item in value]
    return value


def _printed_item(name: str, item: JsonValue) -> JsonValue:
    if isinstance(item, str):
        return escape_template(item) if name in _ESCAPED else item
    if isinstance(item, dict) and name not in ("secret", "ssh"):
        return dict(sorted(item.items()))
    return item


def render_plan(plan: Plan) -> str:
    """The document that `docker buildx bake --print` writes, to the byte, without its last newline."""
    document = plan.as_json()
    document.setdefault("target", {})
    return render_json(document)


def render_json(value: JsonValue) -> str:
    """`value` as Go's encoding/json indents it by two spaces, with `<`, `>` and `&` escaped."""
    return json.dumps(value, indent=2, ensure_ascii=False).translate(_GO_ESCAPES)


def portable_plan(plan: Plan) -> dict[str, JsonValue]:
    """`plan` as a bake JSON file that buildx 0.13 and later evaluate to the very same texts.

    Entries of cache, output, secret, ssh and attest become their string forms, since the object forms are young.
    Every `${` and `%{` in a key or value is doubled, for a JSON bake file is evaluated.
    """
    document: dict[str, JsonValue] = {}
    if plan.groups:
        document["group"] = {
            name: {"targets": [escape_template(t) for t in group.targets]}
            for name, group in sorted(plan.groups.items())
        }
    if plan.targets:  # an empty object would be a block without its label
        document["target"] = {
            name: {
                key: _portable_value(key, value) for key, value in target.attributes.items() if key not in _TOO_YOUNG
            }
            for name, target in sorted(plan.targets.items())
        }
    return document


#: Attributes that older programs do not know and that change nothing about the image.
_TOO_YOUNG = frozenset({"description"})


def _portable_value(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value if name in _ESCAPED else escape_template(value)
    if isinstance(value, list):
        return [_portable_item(name, item) for item in value]
    if isinstance(value, dict):
        return {escape_template(k): _portable_value(name, v) for k, v in value.items()}
    return value


def _portable_item(name: str, item: JsonValue) -> JsonValue:
    if isinstance(item, dict):
        return escape_template(entry_text(name, item))
    return _portable_value(name, item)


def entry_text(name: str, entry: Mapping[str, JsonValue]) -> str:
    """One entry of cache-from, cache-to, output, secret, ssh or attest in its string form."""
    if name == "ssh":
        paths = ",".join(cast(list[str], entry.get("paths") or []))
        return f"{entry.get('id', '')}={paths}" if paths else str(entry.get("id", ""))
    first = [key for key in ("type", "id") if key in entry]
    keys = first + [key for key in entry if key not in first]
    return join_fields([f"{key}={_text(entry[key])}" for key in keys])


def _text(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
