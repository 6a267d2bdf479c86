"""The lab takes Debian packages from where the machine's own apt takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.lab.mirror import PUBLIC_ARCHIVE, choose_archive, parse_apt_sources, read_mirror
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import FakeMachine

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example.org/pub/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/pub/debian-security
Suites: bookworm-security
Components: main
"""


def archive(text: str) -> str | None:
    return choose_archive(parse_apt_sources(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEB822, "http://mirror.example.org/pub/debian"),
        ("deb http://one.example/debian bookworm main\n", "http://one.example/debian"),
        (
            "deb [arch=amd64 signed-by=/k.gpg] https://one.example/debian/ trixie main # note\n",
            "https://one.example/debian",
        ),
        ("#deb http://off.example/debian bookworm main\ndeb-src http://src.example/debian bookworm main\n", None),
        ("deb cdrom:[Debian]/ bookworm main\ndeb file:/srv/debian bookworm main\n", None),
        ("deb http://security.example/debian-security bookworm-security main\n", None),
        ("deb http://third.example/debian bookworm stable\n", None),
        (
            "deb http://third.example/debian/12/prod bookworm main\ndeb http://one.example/debian bookworm main\n",
            "http://one.example/debian",
        ),
        ("deb http://one.example/mirror-of-debian bookworm main\n", "http://one.example/mirror-of-debian"),
        ("deb http://archive.example/ubuntu noble main universe\n", None),
        ("Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n", None),
        (
            "types: deb\nuris:\n http://folded.example/debian\n http://b.example/d\nsuites: sid\ncomponents: main\n",
            "http://folded.example/debian",
        ),
        ("", None),
    ],
)
def test_debians_main_archive_is_found_among_the_sources(text: str, expected: str | None) -> None:
    """Both formats, disabled and foreign entries, third parties that reuse Debian's suite names."""
    assert archive(text) == expected


def test_sources_are_read_from_all_files_apt_reads(tmp_path: Path) -> None:
    """sources.list and the folder beside it, and only files with apt's endings."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/a.list.save").write_text("deb http://saved.example/debian bookworm main\n")
    assert read_mirror(FakeMachine(), {}, folder=tmp_path).uri == "http://mirror.example.org/pub/debian"


def test_a_machine_without_debian_sources_asks_debians_front_door(tmp_path: Path) -> None:
    """Ubuntu, macOS: the public archive; and what the user says goes before everything."""
    assert read_mirror(FakeMachine(), {}, folder=tmp_path).uri == PUBLIC_ARCHIVE
    assert read_mirror(FakeMachine(), {}, wanted="http://w.example/d", folder=tmp_path).uri == "http://w.example/d"


@pytest.mark.parametrize(
    ("said", "environ", "proxy"),
    [
        ("proxy='http://cache.example:3142'\n", {"http_proxy": "http://env.example:1"}, "http://cache.example:3142"),
        ("", {"http_proxy": "http://env.example:1"}, "http://env.example:1"),
        ("proxy='DIRECT'\n", {"http_proxy": "http://env.example:1"}, ""),
        ("", {"https_proxy": "http://other.example:1"}, ""),
    ],
)
def test_the_proxy_is_apts_own_or_the_environments(
    tmp_path: Path, said: str, environ: dict[str, str], proxy: str
) -> None:
    """As for apt itself; DIRECT means none."""
    machine = FakeMachine({"apt-config": Outcome(0, said)})
    assert read_mirror(machine, environ, folder=tmp_path).proxy == proxy
