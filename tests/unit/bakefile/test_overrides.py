"""`--set` in every form, and the flags that are shorthands for it."""

from __future__ import annotations

import pytest

from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.overrides import (
    FlagSettings,
    apply_overrides,
    flag_overrides,
    force_load,
    force_push,
    parse_call,
    parse_overrides,
)
from hpcbake.errors import UsageError
from hpcbake.model.plan import JsonValue


def after(settings: list[str], **attributes: JsonValue) -> Attributes:
    """The attributes of target `app` after these `--set` texts."""
    overrides = parse_overrides(settings, ["app", "other"], {"FROM_ENV": "e"})
    named = {key.replace("_", "-"): value for key, value in attributes.items()}
    return apply_overrides(named, overrides.get("app", {}))


@pytest.mark.parametrize(
    ("settings", "attribute", "value"),
    [
        (["app.context=x=y"], "context", "x=y"),
        (["app.dockerfile=a", "app.dockerfile=b"], "dockerfile", "b"),
        (["*.target=t"], "target", "t"),
        (["a?p.call=lint"], "call", "lint"),
        (["app.shm-size=1g"], "shm-size", "1g"),
        (["app.network=host"], "network", "host"),
        (["app.no-cache=1"], "no-cache", True),
        (["app.pull=F"], "pull", False),
        (["app.tags=a", "app.tags=b,c"], "tags", ["a", "b,c"]),
        (["app.tags+=a"], "tags", ["old", "a"]),
        (["app.tags=a", "app.tags+=b"], "tags", ["old", "a", "b"]),
        (["app.tags+=a", "app.tags=b"], "tags", ["a", "b"]),
        (["app.tags="], "tags", [""]),
        (["app.platform=linux/amd64"], "platforms", ["linux/amd64"]),
        (["app.output="], "output", []),
        (["app.output=type=docker", "app.output=out"], "output",
         [{"type": "docker"}, {"type": "local", "dest": "out"}]),
        (["app.cache-from=a", "app.cache-from=type=gha"], "cache-from",
         [{"type": "registry", "ref": "a"}, {"type": "gha"}]),
        (["app.secrets=id=a,env=B"], "secret", [{"id": "a", "env": "B"}]),
        (["app.ssh=default"], "ssh", [{"id": "default"}]),
        (["app.attest=type=sbom"], "attest", [{"type": "sbom"}]),
        (["app.entitlements=network.host"], "entitlements", ["network.host"]),
        (["app.annotations=a=b"], "annotations", ["a=b"]),
        (["app.ulimits=nofile=1"], "ulimits", ["nofile=1"]),
        (["app.no-cache-filter=a", "app.no-cache-filter=b"], "no-cache-filter", ["a", "b"]),
        (["app.args.X=1"], "args", {"X": "1"}),
        (["app.args.X.Y=1=2"], "args", {"X.Y": "1=2"}),
        (["app.args.FROM_ENV"], "args", {"FROM_ENV": "e"}),
        (["app.args.NOT_SET"], "args", None),
        (["app.labels.org.example.x=1"], "labels", {"org.example.x": "1"}),
        (["app.contexts.base=docker-image://alpine"], "contexts", {"base": "docker-image://alpine"}),
        (["app.extra-hosts.h=1.2.3.4"], "extra-hosts", {"h": "1.2.3.4"}),
        (["other.tags=x"], "tags", ["old"]),
    ],
)  # fmt: skip
def test_set_overrides_one_key(settings: list[str], attribute: str, value: JsonValue) -> None:
    """Each kind of key takes its values in its own way; lists add up over repeated `--set`."""
    assert after(settings, tags=["old"]).get(attribute) == value


@pytest.mark.parametrize("key", ["annotations", "entitlements"])
def test_some_lists_are_added_to_even_without_a_plus(key: str) -> None:
    """annotations, entitlements and attest never replace."""
    before: dict[str, JsonValue] = {key: ["a=b"]}
    assert after([f"app.{key}=b=c"], **before)[key] == ["a=b", "b=c"]


def test_attestations_are_replaced_by_type() -> None:
    """`--set app.attest` keeps the other types."""
    assert after(["app.attest=type=sbom,disabled=true"], attest=[{"type": "provenance"}, {"type": "sbom"}]) == {
        "attest": [{"type": "provenance"}, {"type": "sbom", "disabled": True}]
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("app", "does not name a target and a key"),
        ("app.tags", "has no value"),
        ("app.args=1", "args requires a name"),
        ("app.labels=1", "labels requires a name"),
        ("nope.tags=1", "could not find any target matching 'nope'"),
        ("app.platforms=x", "unknown key: platforms"),
        ("app.no-cache=maybe", "invalid value maybe for boolean key no-cache"),
        ("app.output=type=", "type is required"),
        ("[.tags=x", "not a valid pattern"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_text(setting: str, message: str) -> None:
    """Every message quotes the `--set` it is about and says how to write it."""
    with pytest.raises(UsageError, match=message.replace("[", r"\[")) as caught:
        after([setting])
    assert f"--set {setting}" in caught.value.message
    assert caught.value.remedy


def test_an_unknown_key_matters_only_where_it_is_applied() -> None:
    """buildx looks at the keys of a target when it resolves it, not before."""
    assert after(["other.nokey=1"], tags=["a"]) == {"tags": ["a"]}


@pytest.mark.parametrize(
    ("outputs", "pushed"),
    [
        ([], [{"type": "image", "push": "true"}]),
        ([{"type": "docker"}], [{"type": "docker"}, {"type": "image", "push": "true"}]),
        ([{"type": "image", "name": "a"}], [{"type": "image", "name": "a", "push": "true"}]),
        ([{"type": "registry"}], [{"type": "registry"}]),
        ([{"type": "local", "dest": "x"}], [{"type": "local", "dest": "x"}]),
    ],
)
def test_push_pushes_images_and_adds_one_only_beside_docker(
    outputs: list[dict[str, JsonValue]], pushed: list[JsonValue]
) -> None:
    """Exports to files stay what they are."""
    assert force_push(outputs, True) == pushed


def test_not_pushing_drops_registry_outputs() -> None:
    """push=false keeps images here."""
    outputs: list[dict[str, JsonValue]] = [{"type": "registry"}, {"type": "image"}, {"type": "docker"}]
    assert force_push(outputs, False) == [{"type": "docker"}, {"type": "image", "push": "false"}]


@pytest.mark.parametrize(
    ("outputs", "loaded"),
    [
        ([], [{"type": "docker"}]),
        ([{"type": "docker"}], [{"type": "docker"}]),
        ([{"type": "docker", "dest": "x.tar"}], [{"type": "docker", "dest": "x.tar"}, {"type": "docker"}]),
        ([{"type": "image"}], [{"type": "image"}, {"type": "docker"}]),
        ([{"type": "local", "dest": "x"}], [{"type": "local", "dest": "x"}]),
    ],
)
def test_load_adds_a_docker_output_unless_files_are_exported(
    outputs: list[dict[str, JsonValue]], loaded: list[JsonValue]
) -> None:
    """One loaded image is enough."""
    assert force_load(outputs, True) == loaded


def test_push_comes_after_the_outputs_it_looks_at() -> None:
    """The order on the command line does not matter; buildx's own order is random."""
    assert after(["app.push=true", "app.output=type=image"])["output"] == [{"type": "image", "push": "true"}]


def test_flags_stand_for_settings_after_the_users() -> None:
    """In the order push, load, call, no-cache, pull, sbom, provenance."""
    flags = FlagSettings(
        push=True, load=True, call="check", no_cache=False, pull=True, sbom="true", provenance="mode=max"
    )
    assert flag_overrides(flags) == [
        "*.push=true",
        "*.load=true",
        "*.call=lint",
        "*.no-cache=false",
        "*.pull=true",
        "*.attest=type=sbom,disabled=false",
        "*.attest=type=provenance,mode=max",
    ]
    assert flag_overrides(FlagSettings(push=False, load=False, call="build", sbom="")) == []


@pytest.mark.parametrize(
    ("text", "method"),
    [("check", "lint"), ("outline,format=json", "outline"), ("build", ""), ("format=json,ignorestatus=1", "")],
)
def test_call_gives_a_method_and_options(text: str, method: str) -> None:
    """`check` is called lint in a plan."""
    assert parse_call(text) == method


@pytest.mark.parametrize("text", ["a,b", "check,colour=red", "check,ignorestatus=maybe", 'che"ck'])
def test_call_refuses_what_it_does_not_know(text: str) -> None:
    """Options are checked."""
    with pytest.raises(UsageError):
        parse_call(text)
