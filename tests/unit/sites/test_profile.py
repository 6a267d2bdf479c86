"""Profiles of distributions: shipped ones are whole and consistent, own ones are read like a site's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.errors import ConfigError, UsageError
from hpcbake.model.version import parse_version
from hpcbake.sites.profile import find_profile, shipped_profiles


def test_the_promised_ones_ship() -> None:
    """Rocky 8.10 and 9, Debian 12, Ubuntu 22.04 and 24.04."""
    assert {"rocky-8.10", "rocky-9", "debian-12", "ubuntu-22.04", "ubuntu-24.04"} <= set(shipped_profiles())


@pytest.mark.parametrize("name", sorted(shipped_profiles()))
def test_shipped_profiles_agree_with_themselves(name: str) -> None:
    """The lists of versions end where the stated numbers do; every profile names its sources."""
    site = find_profile(name)
    profile = site.profile
    assert site.name == name
    assert profile.glibc is not None and profile.glibcxx is not None and profile.kernel is not None
    assert f"GLIBC_{profile.glibc}" in profile.offers
    cxx = [parse_version(offer.removeprefix("GLIBCXX_")) for offer in profile.offers if offer.startswith("GLIBCXX_")]
    assert max(cxx) == profile.glibcxx
    assert ("GLIBC_ABI_DT_RELR" in profile.offers) == (profile.glibc >= parse_version("2.36"))
    assert "sources:" in shipped_profiles()[name].read_text()


def test_rocky_8_10() -> None:
    """The facts that the whole check turns on."""
    profile = find_profile("rocky-8.10").profile
    assert (str(profile.glibc), str(profile.glibcxx), str(profile.kernel)) == ("2.28", "3.4.25", "4.18.0")
    assert "GLIBC_2.29" not in profile.offers


def test_backport_of_rhel_9_7() -> None:
    """Its glibc says 2.34 and defines GLIBC_2.35."""
    profile = find_profile("rocky-9.7").profile
    assert str(profile.glibc) == "2.34" and "GLIBC_2.35" in profile.offers
    assert "GLIBC_2.35" not in find_profile("rocky-9").profile.offers


def test_profile_of_ones_own(tmp_path: Path) -> None:
    """A file with the keys of a site's profile, under its own name."""
    path = tmp_path / "cluster.yaml"
    path.write_text('arch: aarch64\nglibc: "2.34"\ninject:\n  - {name: pmix, needs: [GLIBC_2.34]}\n')
    site = find_profile(str(path))
    assert (site.name, site.profile.arch, site.profile.inject[0].name) == ("cluster", "aarch64", "pmix")


def test_mistakes_are_placed(tmp_path: Path) -> None:
    """An unknown key has its line; an unknown name has a suggestion."""
    path = tmp_path / "cluster.yaml"
    path.write_text("glibx: '2.34'\n")
    with pytest.raises(ConfigError, match=r"cluster\.yaml:1:1"):
        find_profile(str(path))
    with pytest.raises(UsageError) as caught:
        find_profile("rocky-8.1")
    assert "rocky-8.10" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "shipped"),
    [
        ("rhel-8.10", "rocky-8.10"),
        ("almalinux-8", "rocky-8.10"),
        ("rocky-9.4", "rocky-9"),
        ("rhel-9", "rocky-9"),
        ("rhel-9.7", "rocky-9.7"),
        ("almalinux-9.10", "rocky-9.7"),
    ],
)
def test_distributions_of_the_same_sources(name: str, shipped: str) -> None:
    """RHEL and AlmaLinux have the profiles of Rocky, under the name that was asked for."""
    site = find_profile(name)
    assert site.name == name and site.profile == find_profile(shipped).profile


@pytest.mark.parametrize("name", ["rhel-10", "rhel-9.x", "rhel", "fedora-40", "debian-8"])
def test_releases_without_a_profile(name: str) -> None:
    """What nobody has looked at is not guessed."""
    with pytest.raises(UsageError):
        find_profile(name)
