"""The catalog's schema is one, and says what every member is."""

from __future__ import annotations

from typing import Any

import jsonschema

from hpcbake.deliver.catalog import catalog_schema


def members(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every named member, however deep."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, part in schema.get("properties", {}).items():
        found.append((name, part))
        found += members(part.get("items", part))
    return found


def test_it_is_a_schema() -> None:
    """Of the dialect that it names."""
    jsonschema.Draft202012Validator.check_schema(catalog_schema())


def test_every_member_is_described() -> None:
    """A program's author finds what it means; kind and version say it by their names."""
    bare = [name for name, part in members(catalog_schema()) if "description" not in part]
    assert bare == ["kind", "version"]
