"""Images behind mirrors: asked first, never trusted more, never in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from hpcbake.adapters.imagesource import Mirror, RegistrySource, parse_mirror
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.registry_http import Limits
from hpcbake.errors import RegistryError, UsageError
from hpcbake.image.scan import ScannedImage, scan_image
from hpcbake.model.reference import parse_image_reference
from tests.fake_registry import FakeRegistry, running_registry
from tests.image_builder import MemoryImage, make_layer
from tests.unit.check.bases import el8

REPOSITORY = "team/app"


@pytest.fixture
def origin() -> Iterator[FakeRegistry]:
    with running_registry() as running:
        yield running


@pytest.fixture
def mirror() -> Iterator[FakeRegistry]:
    with running_registry() as running:
        yield running


def fill(registry: FakeRegistry, repository: str = REPOSITORY) -> MemoryImage:
    image = MemoryImage([make_layer(el8())])
    registry.blobs.update(image.blobs)
    registry.add_manifest(json.loads(image.top.content), repository=repository)
    return image


def scan(origin: FakeRegistry, mirror: FakeRegistry, prefix: str = "") -> ScannedImage:
    client = RegistryClient(limits=Limits(attempts=1), sleep=lambda _: None)
    return scan_image(RegistrySource(client, origin.ref(), [Mirror(origin.host, mirror.host, prefix)]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker.io=mirror.example.org", Mirror("docker.io", "mirror.example.org")),
        ("docker.io=mirror.example.org:5000/hub/", Mirror("docker.io", "mirror.example.org:5000", "hub/")),
        ("index.docker.io=localhost:5000", Mirror("docker.io", "localhost:5000")),
        ("ghcr.io=mirror.example.org/ghcr/x", Mirror("ghcr.io", "mirror.example.org", "ghcr/x/")),
    ],
)
def test_mirrors_as_users_write_them(text: str, expected: Mirror) -> None:
    """REGISTRY=MIRROR, with a path where the mirror keeps several registries."""
    assert parse_mirror(text) == expected


@pytest.mark.parametrize(
    "text", ["", "docker.io", "docker.io=", "=mirror.example.org", "a b=c d", "ghcr.io/team=x.org"]
)
def test_what_is_no_mirror(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(UsageError) as caught:
        parse_mirror(text)
    assert "REGISTRY=MIRROR" in caught.value.remedy


def test_other_registries_are_not_mirrored() -> None:
    """A mirror of Docker Hub is not asked for the images of others."""
    assert Mirror("docker.io", "mirror.example.org").find(parse_image_reference("ghcr.io/team/app:1")) is None


def test_the_mirror_serves_everything(origin: FakeRegistry, mirror: FakeRegistry) -> None:
    """The registry itself is not asked, and the image keeps its name."""
    image = fill(mirror, f"hub/{REPOSITORY}")
    scanned = scan(origin, mirror, "hub/")
    assert (scanned.digest, scanned.name) == (str(image.top.digest), str(origin.ref()))
    assert not any("manifests" in request or "blobs" in request for request in origin.requests)


def test_mirror_without_the_image(origin: FakeRegistry, mirror: FakeRegistry) -> None:
    """The registry is asked next."""
    image = fill(origin)
    assert scan(origin, mirror).digest == str(image.top.digest)


def test_mirror_that_is_down(origin: FakeRegistry) -> None:
    """A dead mirror does not keep an image from being judged."""
    image = fill(origin)
    with running_registry() as gone:
        pass
    assert scan(origin, gone).digest == str(image.top.digest)


def test_mirror_with_wrong_bytes(origin: FakeRegistry, mirror: FakeRegistry) -> None:
    """A flipped bit in a blob, a cut one: the registry's own bytes are taken."""
    image = fill(origin)
    fill(mirror)
    for digest, content in list(mirror.blobs.items()):
        mirror.blobs[digest] = content[:-8] + bytes(8)
    scanned = scan(origin, mirror)
    assert scanned.digest == str(image.top.digest)
    assert scanned.tree.find_file("/usr/bin/bash") is not None


def test_mirror_that_has_lost_a_blob(origin: FakeRegistry, mirror: FakeRegistry) -> None:
    """Manifest from the mirror, layer from the registry."""
    fill(origin)
    image = fill(mirror)
    mirror.blobs.clear()
    assert scan(origin, mirror).digest == str(image.top.digest)


def test_nobody_has_it(origin: FakeRegistry, mirror: FakeRegistry) -> None:
    """The error speaks of the registry that was named."""

    def refuse(request: BaseHTTPRequestHandler) -> bool:
        request.send_error(500)
        return True

    mirror.faults.append(refuse)
    with pytest.raises(RegistryError) as caught:
        scan(origin, mirror)
    assert origin.host in caught.value.message
