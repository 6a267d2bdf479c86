"""Crontabs and user units, by stand-ins for the programs that keep them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.adapters.crontab import Crontab
from hpcbake.adapters.systemd import UserUnits
from hpcbake.errors import PrereqError


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """A program of this name that notes its words down; the environment in which it is found."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\n{script}\n')
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_table_is_read_and_written_whole(folder: Path) -> None:
    """Also with letters that are no ASCII."""
    script = f'if [ "$1" = -l ]; then exec cat {folder}/table; fi; cp "$1" {folder}/table'
    table = Crontab("crontab", program(folder, "crontab", script))
    table.write("# ä\n1 2 * * * x\n")
    assert table.read() == "# ä\n1 2 * * * x\n"


def test_no_table_yet_is_an_empty_one(folder: Path) -> None:
    """crontab -l fails then, and says so in English whatever the locale."""
    environment = program(folder, "crontab", '[ "$LC_ALL" = C ] && echo "no crontab for me" >&2; exit 1')
    assert Crontab("crontab", environment).read() == ""


def test_a_refusal_is_told_in_its_own_words(folder: Path) -> None:
    """Slurm's table may be switched off; then nothing is replaced."""
    environment = program(
        folder, "scrontab", 'echo "scrontab: fatal: scrontab is disabled on this cluster" >&2; exit 1'
    )
    with pytest.raises(PrereqError, match="disabled on this cluster"):
        Crontab("scrontab", environment).read()


def test_units_are_written_and_started(folder: Path) -> None:
    """Reloaded before and after; the timer enabled; taken away again to the last file."""
    units = UserUnits(program(folder, "systemctl", "exit 0"))
    units.install({"n.service": "service", "n.timer": "timer"}, "n.timer")
    assert (folder / "config/systemd/user/n.timer").read_text() == "timer"
    assert units.uninstall(("n.service", "n.timer"), "n.timer")
    assert list((folder / "config/systemd/user").iterdir()) == []
    assert not units.uninstall(("n.service", "n.timer"), "n.timer")
    assert (folder / "calls").read_text().splitlines() == [
        "--user daemon-reload",
        "--user daemon-reload",
        "--user enable --now n.timer",
        "--user disable --now n.timer",
        "--user daemon-reload",
    ]


def test_without_a_session_nothing_is_left_lying_about(folder: Path) -> None:
    """After su there is no bus: its words, what to do, and no file."""
    environment = program(folder, "systemctl", 'echo "Failed to connect to bus: No medium found" >&2; exit 1')
    with pytest.raises(PrereqError, match="No medium found"):
        UserUnits(environment).install({"n.timer": "timer"}, "n.timer")
    assert not (folder / "config").exists()


@pytest.mark.parametrize(("said", "lingers"), [("yes", True), ("no", False), ("", None)])
def test_lingering_is_asked_for(said: str, lingers: bool | None, folder: Path) -> None:
    """None where nobody tells."""
    assert UserUnits(program(folder, "loginctl", f"echo {said}")).lingers("me") is lingers
