"""`hpcbake sites restrict`: the line on standard output, everything else beside it, and mistakes told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpcbake.cli.sites_restrict import command, read_public_key
from hpcbake.errors import ConfigError, HpcbakeError, UsageError

SITE = """\
name: alder
login: { host: alder.example.org }
store: { root: /scratch/store }
profile: { arch: x86_64 }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    configs = tmp_path / "site-configs"
    configs.mkdir()
    (configs / "alder.yaml").write_text(SITE)
    (tmp_path / "nightly.pub").write_text("ssh-ed25519 AAAAC3Nza nightly@host\n")
    return tmp_path


def restrict(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["alder", "--site-configs", str(folder / "site-configs"), *words])


def test_the_line_stands_alone_on_standard_output(folder: Path) -> None:
    """So that it can be piped into authorized_keys; what is left to do is said on standard error."""
    result = restrict(folder, "--key", str(folder / "nightly.pub"), "--from", "192.0.2.7")
    assert result.stdout == (
        'restrict,from="192.0.2.7",command="/bin/sh ~/.hpcbake/gate-alder" ssh-ed25519 AAAAC3Nza nightly@host\n'
    )
    assert "write `gate: true`" in result.stderr


def test_the_gate_can_be_read_before_it_is_trusted(folder: Path) -> None:
    """--show prints the whole program and asks nobody."""
    result = restrict(folder, "--show")
    assert result.stdout.startswith("#!/bin/sh\n# hpcbake-gate: ")
    assert "gate_root=/scratch/store" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"), [((), "nothing to do"), (("--show", "--from", 'x",y'), "no list of patterns")]
)
def test_mistakes_of_use_are_told(folder: Path, words: tuple[str, ...], said: str) -> None:
    """Also what would break out of the quotes of authorized_keys."""
    result = restrict(folder, *words)
    assert isinstance(result.exception, HpcbakeError)
    assert said in result.exception.message


def test_a_private_key_is_refused_by_its_name(tmp_path: Path) -> None:
    """Nobody may paste the wrong half into authorized_keys."""
    file = tmp_path / "key"
    file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(UsageError, match="private half"):
        read_public_key(file)
    with pytest.raises(ConfigError):
        read_public_key(tmp_path / "missing.pub")
