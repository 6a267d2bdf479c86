"""Plans as text: byte for byte what buildx prints, and safe to read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.bakefile.csvfields import split_fields
from hpcbake.bakefile.render import (
    entry_text,
    escape_template,
    portable_plan,
    printed_attributes,
    render_json,
    render_plan,
    unescape_template,
)
from hpcbake.model.plan import Group, JsonValue, Plan, Target


def plan_of(**attributes: JsonValue) -> Plan:
    named = {key.replace("_", "-"): value for key, value in attributes.items()}
    return Plan({"app": Target("app", printed_attributes(named))}, {"default": Group("default", ("app",))})


def test_attributes_are_printed_in_buildx_order_without_empty_ones() -> None:
    """Empty lists and maps vanish; empty texts of single values stay."""
    printed = printed_attributes(
        {"tags": [], "target": "", "args": {"B": "1", "A": "2"}, "context": ".", "description": "", "pull": False}
    )
    assert list(printed.items()) == [("context", "."), ("args", {"A": "2", "B": "1"}), ("target", ""), ("pull", False)]
    assert list(printed["args"]) == ["A", "B"]  # type: ignore[arg-type]


def test_templates_are_escaped_where_buildx_escapes_them() -> None:
    """args, labels, annotations, extra-hosts and dockerfile-inline; not tags, not keys."""
    printed = printed_attributes({"args": {"${k}": "${v}"}, "tags": ["${t}"], "annotations": ["%{a"]})
    assert printed == {"args": {"${k}": "$${v}"}, "tags": ["${t}"], "annotations": ["%%{a"]}


def test_json_is_escaped_as_go_does() -> None:
    """<, >, & and the two line separators; other characters stay themselves."""
    assert render_json({"k": '<a&b>\u2028é\x01\t"\\'}) == (
        '{\n  "k": "\\u003ca\\u0026b\\u003e\\u2028é\\u0001\\t\\"\\\\"\n}'
    )


def test_a_plan_is_a_group_and_a_target_object() -> None:
    """The golden form, two spaces deep."""
    assert render_plan(plan_of(context=".")) == (
        '{\n  "group": {\n    "default": {\n      "targets": [\n        "app"\n      ]\n    }\n  },\n'
        '  "target": {\n    "app": {\n      "context": "."\n    }\n  }\n}'
    )
    assert render_plan(Plan({}, {})) == '{\n  "target": {}\n}'


@given(st.text(st.sampled_from("$%{}ab")))
def test_escaping_a_template_can_be_undone(text: str) -> None:
    """No text is changed by going there and back."""
    assert unescape_template(escape_template(text)) == text


def test_a_portable_plan_has_only_strings_for_entries() -> None:
    """An older buildx knows only these; every template sign is doubled, in keys too."""
    portable = portable_plan(
        plan_of(
            cache_from=[{"ref": "a:1", "type": "registry"}],
            output=[{"dest": "o,x", "type": "local"}, {"push": "true", "type": "image", "name": "a,b"}],
            secret=[{"id": "a", "env": "${B}"}],
            ssh=[{"id": "k", "paths": ["x", "y"]}, {"id": "default"}],
            attest=[{"type": "provenance", "disabled": True}],
            args={"${k}": "${v}"},
            tags=["${t}"],
            description="d",
        )
    )
    assert portable["target"] == {
        "app": {
            "args": {"$${k}": "$${v}"},
            "tags": ["$${t}"],
            "cache-from": ["type=registry,ref=a:1"],
            "secret": ["id=a,env=$${B}"],
            "ssh": ["k=x,y", "default"],
            "output": ['type=local,"dest=o,x"', 'type=image,"name=a,b",push=true'],
            "attest": ["type=provenance,disabled=true"],
        }
    }
    json.dumps(portable)


@given(st.dictionaries(st.text(st.characters(codec="ascii"), min_size=1).filter(lambda k: "=" not in k), st.text()))
def test_entry_texts_hold_every_pair(pairs: dict[str, str]) -> None:
    """Commas, quotes and line ends survive the string form."""
    text = entry_text("output", {"type": "image", **pairs})
    fields = dict(field.split("=", 1) for field in split_fields(text))
    assert fields == {"type": "image", **pairs}


@pytest.mark.parametrize("value", [None, True, 1, "x", [], {}])
def test_render_json_agrees_with_json(value: JsonValue) -> None:
    """What is rendered can be read again."""
    assert json.loads(render_json(value)) == value
