"""`hpcbake nightly` on the command line: one at a time, usable without anything in the environment, and its timer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpcbake.cli.nightly_environment import USUAL_FOLDERS, complete_environment
from hpcbake.cli.nightly_install import TimerChoices, uninstall
from hpcbake.cli.nightly_pull import the_site_here
from hpcbake.errors import RegistryError, UsageError
from hpcbake.model.site import Login, Site, Store
from hpcbake.report.records import RunRecord, ShipReport, TargetRecord
from hpcbake.ship.nightly import nightly_folder, with_target_errors

pytestmark = pytest.mark.stand

REPOSITORY = Path(__file__).resolve().parents[3]
_HOLD = "import sys,time; from pathlib import Path; from hpcbake.adapters.runlock import run_lock\n"
_HOLD += "with run_lock(Path(sys.argv[1]), doing='the night'):\n    print('held', flush=True); time.sleep(120)\n"


def nightly(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As cron would: an empty environment, no terminal."""
    return subprocess.run(
        [sys.executable, "-m", "hpcbake", "nightly", *words],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_second_run_ends_at_once_with_75(tmp_path: Path) -> None:
    """It says who holds the lock, and --json is one document all the same."""
    lock = nightly_folder(tmp_path / "state", tmp_path) / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        done = nightly(tmp_path, "--json", "--jitter", "3600", HPCBAKE_STATE=str(tmp_path / "state"))
    finally:
        holder.kill()
        holder.communicate()
    assert done.returncode == 75
    assert f"pid {holder.pid}" in done.stderr
    assert json.loads(done.stdout)["exit"]["code"] == 75


def test_an_empty_environment_is_enough(tmp_path: Path) -> None:
    """No HOME, no PATH, no locale: what is wrong is the folder, which holds no project."""
    done = nightly(tmp_path, HPCBAKE_STATE=str(tmp_path / "state"))
    assert done.returncode == 10, done.stderr
    assert "Traceback" not in done.stderr
    assert not (nightly_folder(tmp_path / "state", tmp_path) / "lock").read_text(), "the lock was given back"


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (("cron", None, False, True, ""), "exclude each other"),
        (("cron", "cron", False, False, ""), "exclude each other"),
        ((None, None, True, False, ""), "shows a timer"),
    ],
)
def test_flags_that_make_no_sense_are_refused(
    choices: tuple[str | None, str | None, bool, bool, str], said: str
) -> None:
    """Exit code 2 with what was meant."""
    with pytest.raises(UsageError, match=said):
        TimerChoices(*choices)


def test_uninstalling_what_is_not_there_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crontab program of this test's own."""
    table = tmp_path / "crontab"
    table.write_text("#!/bin/sh\necho 'no crontab for me' >&2\nexit 1\n")
    table.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no nightly run of this folder is installed with cron"):
        uninstall("cron", "hpcbake-nightly-x-00000000")


@pytest.mark.stand
def test_what_would_not_work_is_not_installed(tmp_path: Path) -> None:
    """A site that nobody can reach and no docker: FAIL for each with a fix, exit code 11, the crontab untouched."""
    (tmp_path / "docker-bake.hcl").write_text('target "default" { tags = ["localhost:9/t/app:1"] }\n')
    (tmp_path / "site-configs").mkdir()
    (tmp_path / "site-configs" / "far.yaml").write_text(
        "name: far\nlogin: {host: 127.0.0.1, port: 9, connect_timeout: 1s}\nstore: {root: /s}\n"
        'profile: {arch: x86_64, glibc: "2.28"}\n'
    )
    spool = tmp_path / "spool"
    table = tmp_path / "bin" / "crontab"
    table.parent.mkdir()
    table.write_text(f'#!/bin/sh\n[ "$1" = -l ] && exit 1\ncat "$1" >{spool}\n')
    table.chmod(0o755)
    environment = {"HPCBAKE_STATE": str(tmp_path / "state"), "DOCKER_HOST": "unix:///nowhere", "HOME": str(tmp_path)}
    path = f"{table.parent}:{os.environ['PATH']}"
    done = nightly(tmp_path, "--install", "cron", PATH=path, **environment)
    assert done.returncode == 11, done.stderr
    assert "FAIL  login" in done.stdout
    assert "FAIL  builder" in done.stdout
    assert "nothing was installed" in done.stderr
    assert not spool.exists()


def test_what_cron_leaves_out_is_put_back() -> None:
    """What is there stays; PATH keeps its order."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/mine"}
    complete_environment(environment, uid=0, program_folder="/opt/bin")
    assert environment["HOME"] == "/mine"
    assert environment["USER"] == "root"
    assert environment["PATH"].split(":")[:3] == ["/usr/bin", "/bin", "/opt/bin"]
    assert set(USUAL_FOLDERS) <= set(environment["PATH"].split(":"))
    nobody: dict[str, str] = {}
    complete_environment(nobody, uid=987654)
    assert "HOME" not in nobody


def test_pulling_is_for_one_site_without_ssh() -> None:
    """Its transport is local, whatever the config says; several sites are a question."""
    site = Site(name="alder", login=Login(host="alder"), store=Store(root="/s"))
    assert the_site_here([site]).login.transport == "local"
    for sites in ([], [site, site]):
        with pytest.raises(UsageError):
            the_site_here(sites)


def run_record() -> RunRecord:
    return RunRecord("ID", (), "h", "u", 1, "b", "2026-01-31T00:00:00Z", "2026-01-31T00:00:01Z", 1.0)


def test_a_failed_build_is_in_the_report_beside_what_sites_got() -> None:
    """The target has its digest and its failure; one that the run never knew is added."""
    report = ShipReport("0", run_record(), (TargetRecord("app", "linux/amd64", "ok", "sha256:1"),), ())
    told = with_target_errors(report, {"app": RegistryError("no"), "new": RegistryError("gone")}, "build")
    assert [(t.name, t.build_status, t.digest) for t in told.targets] == [
        ("app", "failed", "sha256:1"),
        ("new", "failed", ""),
    ]
    assert int(told.code) == 21
    assert with_target_errors(report, {}, "build") is report
