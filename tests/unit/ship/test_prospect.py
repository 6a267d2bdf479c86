"""What a registry tells of an image before a run, and what nobody can know yet."""

from __future__ import annotations

import json

import pytest

from hpcbake.build.document import Shipment
from hpcbake.errors import ConfigError, HpcbakeError, RegistryError, RegistryTempError
from hpcbake.image.manifest import OCI_INDEX, OCI_MANIFEST, Manifest
from hpcbake.model.plan import Target
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference
from hpcbake.ship.prospect import SifSizes, prospect_of_reference, prospect_of_shipment

RELEASE = parse_image_reference("registry.example.org/team/app:1.0")
STAGING = RELEASE.with_tag("hpcbake-staging-app")
SHIPMENT = Shipment(Target("app", {}), (RELEASE, RELEASE.with_tag("latest")))


class Shelf:
    """A registry in memory that can only be read; `faults` by what is asked for."""

    def __init__(self) -> None:
        self.tags: dict[str, Digest] = {}
        self.manifests: dict[Digest, Manifest] = {}
        self.faults: dict[str, HpcbakeError] = {}
        self.lost: set[Digest] = set()
        self.asked: list[str] = []

    def put(self, tag: ImageReference, content: str, media_type: str = OCI_MANIFEST, size: int = 7) -> Digest:
        """An image of one layer, or an index of one image, under a tag."""
        blob = {"mediaType": "x", "digest": str(Digest.of(content.encode())), "size": size}
        document: dict[str, object] = {"schemaVersion": 2, "config": blob, "layers": [blob]}
        if media_type == OCI_INDEX:
            platform = {"os": "linux", "architecture": "arm64"}
            document = {"schemaVersion": 2, "manifests": [{**blob, "platform": platform}]}
        text = json.dumps(document).encode()
        digest = Digest.of(text)
        self.manifests[digest] = Manifest(text, media_type, digest)
        self.tags[str(tag)] = digest
        return digest

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        self.asked.append(str(ref))
        if str(ref) in self.faults:
            raise self.faults[str(ref)]
        return self.tags.get(str(ref))

    def fetch_manifest(self, ref: ImageReference) -> Manifest:
        digest = ref.digest or self.tags.get(str(ref))
        if digest not in self.manifests:
            raise RegistryError(f"no manifest {ref}", kind="registry.not-found")
        return self.manifests[digest]

    def head_blob(self, ref: ImageReference, digest: Digest) -> int | None:
        return None if digest in self.lost else 7


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


# ---- targets of bake files ------------------------------------------------------------------------------------------


def test_a_target_that_nobody_has_built(shelf: Shelf) -> None:
    """Its name, its version and its tags are known, and that it must be built."""
    found = prospect_of_shipment(SHIPMENT, shelf)
    assert (found.name, found.version, found.image, found.error) == ("app", "1.0", None, None)
    told = found.forecast()
    assert (told.needs_build, told.digest, told.found_at, told.reference) == (True, "", "", str(RELEASE))
    assert told.tags == (str(RELEASE), f"{RELEASE.name}:latest")


def test_a_target_is_what_its_release_tag_holds(shelf: Shelf) -> None:
    """Where builds leave no tag of their own."""
    digest = shelf.put(RELEASE, "a")
    told = prospect_of_shipment(SHIPMENT, shelf).forecast()
    assert (told.digest, told.found_at, told.needs_build) == (str(digest), str(RELEASE), True)
    assert told.reference == f"{RELEASE.name}@{digest}"


def test_a_staging_tag_is_newer_than_a_release(shelf: Shelf) -> None:
    """Each build moves it; the release tag waits for every site."""
    shelf.put(RELEASE, "a")
    newer = shelf.put(STAGING, "b")
    assert prospect_of_shipment(SHIPMENT, shelf).digest == str(newer)


def test_a_staging_tag_in_ruins_is_passed_over(shelf: Shelf) -> None:
    """A blob that a registry lost, or no image for the sites: the next tag is looked at, or the build is waited for."""
    release = shelf.put(RELEASE, "a")
    shelf.put(STAGING, "b")
    shelf.lost = {Digest.of(b"b")}
    assert prospect_of_shipment(SHIPMENT, shelf).digest == str(release)
    shelf.put(RELEASE, "c", OCI_INDEX)
    found = prospect_of_shipment(SHIPMENT, shelf)
    assert (found.image, found.error) == (None, None)


@pytest.mark.parametrize("kind", ["registry.auth", "registry.unreachable"])
def test_a_registry_that_does_not_tell_is_an_error(shelf: Shelf, kind: str) -> None:
    """Not knowing is never taken for not being there."""
    shelf.put(RELEASE, "a")
    shelf.faults[str(STAGING)] = RegistryError("says no", kind=kind)
    found = prospect_of_shipment(SHIPMENT, shelf)
    assert found.error is shelf.faults[str(STAGING)]
    assert found.forecast().error is not None


# ---- images by reference --------------------------------------------------------------------------------------------


def test_an_image_by_tag_is_resolved_exactly(shelf: Shelf) -> None:
    """And needs no build; no tag of it will be moved."""
    digest = shelf.put(RELEASE, "a")
    found = prospect_of_reference("tool", str(RELEASE), shelf)
    assert (found.name, found.version, found.digest, found.needs_build) == ("tool", "1.0", str(digest), False)
    assert found.forecast().tags == ()


def test_an_image_by_digest_goes_by_its_short_digest(shelf: Shelf) -> None:
    """There is no other version."""
    digest = shelf.put(RELEASE, "a")
    found = prospect_of_reference("tool", f"{RELEASE.name}@{digest}", shelf)
    assert (found.version, found.digest) == (digest.short, str(digest))


def test_an_image_that_is_not_there_is_an_error(shelf: Shelf) -> None:
    """Nobody will build it."""
    found = prospect_of_reference("tool", str(RELEASE), shelf)
    assert found.error is not None
    assert found.error.kind == "registry.not-found"


def test_a_reference_that_is_none_is_refused(shelf: Shelf) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError):
        prospect_of_reference("tool", "registry.example.org/Team/App:", shelf)
    assert shelf.asked == []


# ---- SIFs beside images ---------------------------------------------------------------------------------------------


def test_the_size_of_a_sif_is_asked_once(shelf: Shelf) -> None:
    """However many sites want to know; none is None, and so is a registry that does not tell."""
    shelf.put(RELEASE, "a")
    image = prospect_of_reference("tool", str(RELEASE), shelf).image
    assert image is not None
    place = RELEASE.with_tag(f"sha256-{image.digest.hex}.sif")
    assert SifSizes(shelf).find(image) is None
    shelf.faults[str(place)] = RegistryTempError("503")
    assert SifSizes(shelf).find(image) is None
    shelf.faults.clear()
    shelf.put(place, "sif", size=123_456)
    shelf.asked.clear()
    sizes = SifSizes(shelf)
    assert [sizes.find(image), sizes.find(image)] == [123_456, 123_456]
    assert shelf.asked == [str(place)]
