"""Names of images: read by docker's rules, refused by name, written back as they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcbake.errors import ConfigError
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", None),
        ("ubuntu:22.04", "docker.io", "library/ubuntu", "22.04"),
        ("team/app", "docker.io", "team/app", None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", None),
        ("index.docker.io/team/app", "docker.io", "team/app", None),
        ("localhost/app", "localhost", "app", None),
        ("localhost:5000/app:1", "localhost:5000", "app", "1"),
        ("localhost:5000", "docker.io", "library/localhost", "5000"),
        ("registry.example.org/a/b/c:v1.0_x-y", "registry.example.org", "a/b/c", "v1.0_x-y"),
        ("[::1]:5000/app", "[::1]:5000", "app", None),
        ("HOST/app", "HOST", "app", None),
    ],
)
def test_references_are_read_by_dockers_rules(text: str, registry: str, repository: str, tag: str | None) -> None:
    """What docker would pull is what we mean."""
    assert parse_image_reference(text) == ImageReference(registry, repository, tag)


def test_a_digest_may_stand_beside_a_tag() -> None:
    """Both are kept, and both are written."""
    text = f"registry.example.org/app:1@sha256:{HEX}"
    found = parse_image_reference(text)
    assert (found.tag, found.digest, str(found)) == ("1", Digest(f"sha256:{HEX}"), text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":",
        "@",
        "app:",
        "app@",
        "App",
        "app:-1",
        "app:.1",
        "app:a b",
        "app:" + "x" * 129,
        "app\n",
        "app:1\n",
        "team//app",
        "team/app/",
        "/app",
        "a;b/app",
        "$(id)/app",
        "-rf/app",
        "registry.example.org:port/app",
        "app@sha256:abc",
        f"app@sha256:{HEX.upper()}",
        f"app@sha512:{HEX}",
        f"app@sha256:{HEX}\n",
        f"app@sha256:{HEX}@sha256:{HEX}",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    """Nothing is reinterpreted: the offending text is shown, and how to write it."""
    with pytest.raises(ConfigError) as caught:
        parse_image_reference(text)
    assert caught.value.remedy


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is a reference or a ConfigError, and what was read is read again as the same."""
    try:
        found = parse_image_reference(text)
    except ConfigError:
        return
    assert parse_image_reference(str(found)) == found


def test_a_digest_is_that_of_its_bytes() -> None:
    """The empty content has the digest that everybody knows."""
    digest = Digest.of(b"")
    assert str(digest) == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (digest.short, digest.hex) == ("e3b0c44298fc", str(digest)[7:])


def test_pinning_drops_the_tag() -> None:
    """A digest is the only identity: a tag beside it would be a second opinion."""
    tagged = parse_image_reference("registry.example.org/app:1")
    pinned = tagged.with_digest(Digest(f"sha256:{HEX}"))
    assert str(pinned) == f"registry.example.org/app@sha256:{HEX}"
    assert pinned.with_tag("2") == parse_image_reference("registry.example.org/app:2")
