"""String and object forms of entries become one normal form."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.attributes import (
    canonical_attest,
    normal_attribute,
    parse_attest,
    parse_cache_entries,
    parse_output,
    parse_secret,
    parse_ssh,
)
from hpcbake.bakefile.csvfields import MalformedValueError


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("user/app:cache", [{"ref": "user/app:cache", "type": "registry"}]),
        ("a:1,b:2", [{"ref": "a:1", "type": "registry"}, {"ref": "b:2", "type": "registry"}]),
        ("type=local,SRC=x", [{"type": "local", "src": "x"}]),
        ('"type=registry","ref=a,b"', [{"type": "registry", "ref": "a,b"}]),
    ],
)
def test_a_cache_string_is_references_or_pairs(text: str, entries: list[dict[str, str]]) -> None:
    """Without `=` every field is a registry reference; with it the fields are pairs with lower-case keys."""
    assert parse_cache_entries(text) == entries


@pytest.mark.parametrize("text", ["ref=a", "type=,ref=a", "type=local,src", 'type="local'])
def test_a_cache_string_without_type_or_with_loose_fields_is_refused(text: str) -> None:
    """A cache that BuildKit could not tell the kind of is an error, not a guess."""
    with pytest.raises(MalformedValueError):
        parse_cache_entries(text)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("out", {"type": "local", "dest": "out"}),
        ("-", {"type": "tar", "dest": "-"}),
        ("name=foo", {"type": "local", "dest": "name=foo"}),
        ("type=docker", {"type": "docker"}),
        ("type=image,name=a,push=true", {"type": "image", "name": "a", "push": "true"}),
        ('type=image,"name=a,b"', {"type": "image", "name": "a,b"}),
        ("type=local,dest=", {"type": "local"}),
    ],
)
def test_an_output_string_is_a_folder_a_tar_or_pairs(text: str, entry: dict[str, str]) -> None:
    """A single field that does not begin with `type=` is a place to export to, even if it holds a `=`."""
    assert parse_output(text) == entry


def test_an_output_object_needs_a_type() -> None:
    """An object without `type` is refused with the words buildx has for it."""
    with pytest.raises(MalformedValueError, match="type is required for output"):
        parse_output({"dest": "x"})


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("type=sbom", {"type": "sbom"}),
        ("type=provenance,mode=max", {"type": "provenance", "mode": "max"}),
        ("type=provenance,disabled=1", {"type": "provenance", "disabled": True}),
        ({"type": "provenance", "disabled": "false"}, {"type": "provenance"}),
        ("type=sbom,Generator=X", {"type": "sbom", "Generator": "X"}),
    ],
)
def test_an_attestation_shows_disabled_only_when_it_is(
    value: str | dict[str, object], entry: dict[str, object]
) -> None:
    """`disabled` is a real boolean and appears only as true; other keys keep their case."""
    assert parse_attest(value) == entry


@pytest.mark.parametrize(
    ("value", "text"),
    [("true", "type=sbom,disabled=false"), ("0", "type=sbom,disabled=true"), ("mode=max", "type=sbom,mode=max")],
)
def test_the_attestation_flags_take_a_bool_or_pairs(value: str, text: str) -> None:
    """`--sbom V` turns Go's booleans into `disabled`, and passes anything else on."""
    assert canonical_attest("sbom", value) == text


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("id=a,src=f", {"id": "a", "src": "f"}),
        ("type=env,id=a,src=B", {"id": "a", "env": "B"}),
        ("env=B,source=f,id=a", {"id": "a", "src": "f", "env": "B"}),
        ({"id": "a", "env": "B", "src": ""}, {"id": "a", "env": "B"}),
    ],
)
def test_a_secret_is_printed_as_id_src_env(value: str | dict[str, object], entry: dict[str, str]) -> None:
    """Order and empty parts are those of `--print`; `type=env` makes the source a variable."""
    assert list(parse_secret(value).items()) == list(entry.items())


@pytest.mark.parametrize("text", ["id", "type=vault,id=a", "id=a,mode=0400"])
def test_a_secret_with_unknown_parts_is_refused(text: str) -> None:
    """A secret that would not be mounted as written is an error."""
    with pytest.raises(MalformedValueError):
        parse_secret(text)


@pytest.mark.parametrize(
    ("text", "entry"),
    [("default", {"id": "default"}), ("k=a,b", {"id": "k", "paths": ["a", "b"]}), ("k=", {"id": "k", "paths": [""]})],
)
def test_an_ssh_string_is_an_id_and_paths(text: str, entry: dict[str, object]) -> None:
    """Paths are split at commas without any quoting."""
    assert parse_ssh(text) == entry


def test_empty_strings_in_lists_of_entries_are_skipped() -> None:
    """`output = [""]` is how a bake file says "none", so it must survive as an empty list."""
    assert normal_attribute("output", [""]) == []
    assert normal_attribute("tags", ["", "a"]) == ["", "a"]
