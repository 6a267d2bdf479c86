"""`--list` shows what a bake file offers, as buildx does."""

from __future__ import annotations

import json

import pytest

from hpcbake.bakefile.definition import VariableDefinition
from hpcbake.bakefile.listing import ListRequest, parse_list_request, render_targets, render_variables
from hpcbake.errors import UsageError
from tests.unit.bakefile.definitions import group, model, target

MODEL = model(
    target("a", description="first"),
    target("_private"),
    target("longer-target-name"),
    group("g", "longer-target-name", "a", description="both"),
    group("m", "a"),
    group("m", "a", "a", is_matrix=True),
)
VARIABLES = (
    VariableDefinition("TAG", "string", "x<y", "The tag"),
    VariableDefinition("LIST", "list of string", '["a"]', ""),
    VariableDefinition("NONE", "", None, ""),
    VariableDefinition("EMPTY", "", "", ""),
)


def test_targets_are_a_table_by_name() -> None:
    """Groups show their members; names with an underscore in front are private; columns end at tab stops."""
    assert render_targets(MODEL, "table").split("\n") == [
        "TARGET\t\t\tDESCRIPTION",
        "a\t\t\tfirst",
        "g\t\t\tboth (a, longer-target-name)",
        "longer-target-name\t",
        "m\t\t\ta",
        "m\t\t\ta",
    ]


def test_targets_as_json_mark_groups() -> None:
    """Empty descriptions are left out; nothing at all is null."""
    assert json.loads(render_targets(MODEL, "json"))[:2] == [
        {"name": "a", "description": "first"},
        {"name": "g", "description": "both (a, longer-target-name)", "group": True},
    ]
    assert render_targets(model(), "json") == "null"


def test_variables_are_a_table_with_null_spelt_out() -> None:
    """Type, value and description, sorted by name."""
    assert render_variables(VARIABLES, "table").split("\n") == [
        "VARIABLE\tTYPE\t\tVALUE\tDESCRIPTION",
        "EMPTY\t\t\t\t\t",
        'LIST\t\tlist of string\t["a"]\t',
        "NONE\t\t\t\t<null>\t",
        "TAG\t\tstring\t\tx<y\tThe tag",
    ]


def test_variables_as_json_leave_out_what_there_is_not() -> None:
    """An empty value is a value, null is none."""
    assert json.loads(render_variables(VARIABLES, "json")) == [
        {"name": "EMPTY", "value": ""},
        {"name": "LIST", "type": "list of string", "value": '["a"]'},
        {"name": "NONE"},
        {"name": "TAG", "description": "The tag", "type": "string", "value": "x<y"},
    ]


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("targets", ListRequest("targets")),
        ("type=variables,format=json", ListRequest("variables", "json")),
        ("Format=table,TYPE=targets", ListRequest("targets", "table")),
    ],
)
def test_the_request_is_a_word_or_pairs(text: str, request_: ListRequest) -> None:
    """As buildx reads it."""
    assert parse_list_request(text) == request_


@pytest.mark.parametrize(
    "text", ["foo", "type=foo", "targets,format=json", "type=targets,format=xml", "", "type=targets,a=b"]
)
def test_other_requests_are_refused(text: str) -> None:
    """With the two that there are."""
    with pytest.raises(UsageError):
        parse_list_request(text)
