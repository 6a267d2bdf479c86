"""The delivery as it runs on a site: nothing has a SIF's name that was not looked at, nothing whole is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.deliver.deliver import DeliverRequest, deliver, render_deliver_script
from hpcbake.errors import (
    BusyError,
    HpcbakeError,
    IntegrityError,
    RegistryError,
    RegistryTempError,
    SiteResourceError,
)
from hpcbake.model.artefacts import Deployment
from hpcbake.model.reference import Digest
from hpcbake.model.site import Runtime, Site
from hpcbake.sites.scripts import read_answer
from tests.site_stand import DIGEST, SiteStand, built_image, sif_bytes

REQUEST = DeliverRequest(built_image(), run="01RUN", created="2026-01-31T12:00:00Z", tool_version="0", lock_wait_s=0)


def bring(stand: SiteStand, request: DeliverRequest = REQUEST, site: Site | None = None) -> Deployment:
    """Deliver to this machine; the waits between attempts are skipped."""
    return deliver(request, site or stand.site, node=stand.node, commands=SpythonCommands(), sleep=lambda _: None)


def refusal(stand: SiteStand, request: DeliverRequest = REQUEST, site: Site | None = None) -> HpcbakeError:
    """The failure of a delivery that must not succeed."""
    with pytest.raises(HpcbakeError) as caught:
        bring(stand, request, site)
    return caught.value


def partial_files(stand: SiteStand) -> list[str]:
    """What is left of a delivery outside the final name."""
    return [str(path) for path in (stand.root / ".hpcbake/incoming").glob("*")]


def test_a_sif_is_delivered_with_its_provenance(stand: SiteStand) -> None:
    """The SIF lies under its digest, and the file beside it says what was measured there."""
    done = bring(stand)
    assert (done.path, done.changed) == (str(stand.sif), True)
    assert stand.sif.read_bytes() == sif_bytes(DIGEST)
    assert done.sif_sha256 == Digest.of(sif_bytes(DIGEST)).hex == stand.provenance["sif_sha256"]
    assert stand.provenance["size_bytes"] == stand.sif.stat().st_size == done.size_bytes
    assert stand.provenance["digest"] == str(DIGEST)
    assert done.runtime == "apptainer version 1.4.5"


def test_nothing_partial_is_left(stand: SiteStand) -> None:
    """After a delivery there is no lease, no partial file and no cache."""
    bring(stand)
    assert partial_files(stand) == []
    assert list((stand.root / ".hpcbake/leases").iterdir()) == []


def test_a_present_sif_is_left_untouched(stand: SiteStand) -> None:
    """A second delivery pulls nothing and changes no file, not even a time."""
    bring(stand)
    before = stand.seen()
    done = bring(stand)
    assert (done.changed, done.sif_sha256) == (False, stand.provenance["sif_sha256"])
    assert stand.seen() == before
    assert len(stand.calls("apptainer", "pull")) == 1


def test_a_sif_whose_time_moved_is_read_and_kept(stand: SiteStand) -> None:
    """A copied store has other times: the bytes decide, and the SIF is not pulled again."""
    bring(stand)
    os.utime(stand.sif, (1, 1))
    assert not bring(stand).changed
    assert len(stand.calls("apptainer", "pull")) == 1


def test_a_changed_sif_is_replaced_and_kept_as_evidence(stand: SiteStand) -> None:
    """Other bytes under the digest are set aside, said, and the right ones are pulled."""
    bring(stand)
    stand.sif.write_bytes(b"tampered")
    done = bring(stand)
    assert done.changed
    assert "kept as" in done.notes[0]
    assert stand.sif.read_bytes() == sif_bytes(DIGEST)
    assert [path.read_bytes() for path in stand.sif.parent.glob("*.bad-*")] == [b"tampered"]


def test_a_sif_that_a_job_found_changed_is_read(stand: SiteStand) -> None:
    """A compute node saw other bytes: size and time are not believed any more, and the SIF is pulled again."""
    bring(stand)
    times = (stand.sif.stat().st_atime, stand.sif.stat().st_mtime)
    stand.sif.write_bytes(b"\0" * stand.sif.stat().st_size)
    os.utime(stand.sif, times)
    assert not bring(stand).changed
    result = stand.root / f".hpcbake/jobs/app/{DIGEST.hex}/cpu-0123/attempt-1/result.json"
    result.parent.mkdir(parents=True)
    result.write_text('{"exit_code": 43, "why": "sif-changed"}')
    assert bring(stand).changed
    assert not bring(stand).changed


def test_a_sif_without_provenance_is_not_trusted(stand: SiteStand) -> None:
    """A SIF that nobody vouches for, as a kill between two renames leaves it, is pulled again."""
    bring(stand)
    stand.provenance_file.unlink()
    assert bring(stand).changed


def test_mode_of_the_sif_is_the_sites(stand: SiteStand) -> None:
    """The site says who may read a SIF."""
    bring(stand, site=replace(stand.site, store=replace(stand.site.store, mode="0640")))
    assert stand.sif.stat().st_mode & 0o7777 == 0o640


def test_a_group_that_does_not_exist_is_refused(stand: SiteStand) -> None:
    """A SIF that the group cannot have is not delivered to everybody instead."""
    failure = refusal(stand, site=replace(stand.site, store=replace(stand.site.store, group="no-such-group")))
    assert isinstance(failure, SiteResourceError)
    assert not stand.sif.exists()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "image.integrity"),
        (b"not a sif at all", "image.integrity"),
        (sif_bytes(DIGEST)[:60], "image.integrity"),
        (sif_bytes(DIGEST)[:127], "image.integrity"),
        (sif_bytes(DIGEST)[:-1], "image.integrity"),
        (sif_bytes(DIGEST)[:112] + b"\xff" * 16 + sif_bytes(DIGEST)[128:], "image.integrity"),
        (
            sif_bytes(DIGEST)[:112] + b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 2 + sif_bytes(DIGEST)[128:],
            "image.integrity",
        ),
        (sif_bytes(Digest.of(b"another image")), "image.integrity"),
        (sif_bytes(DIGEST, arch=b"04"), "image.architecture"),
    ],
    ids=[
        "empty",
        "no magic",
        "half a header",
        "a byte less than a header",
        "cut short",
        "beyond all numbers",
        "sums below zero",
        "another image",
        "arm64",
    ],
)
def test_a_sif_that_is_not_the_image_is_refused(stand: SiteStand, content: bytes, kind: str) -> None:
    """Whatever apptainer says of its success, a SIF of other bytes never gets the name of the digest."""
    stand.serve_sif(content)
    outcome = stand.node.run_script(render_deliver_script(REQUEST, stand.site, SpythonCommands()), timeout_s=30)
    with pytest.raises(IntegrityError) as caught:
        read_answer(outcome, site="here", step="deliver")
    assert caught.value.kind == kind
    assert not stand.sif.exists()
    assert not stand.provenance_file.exists()
    assert partial_files(stand) == []


def test_a_pull_that_leaves_no_file_is_refused(stand: SiteStand) -> None:
    """apptainer's exit code 0 without a file is no delivery."""
    stand.tell("apptainer.mode", "nothing")
    assert isinstance(refusal(stand), IntegrityError)


def test_wrong_bytes_are_pulled_again(stand: SiteStand) -> None:
    """A torn transfer may pass: it is tried again, three times and no more."""
    stand.serve_sif(b"torn")
    refusal(stand)
    assert len(stand.calls("apptainer", "pull")) == 3


def test_the_final_name_is_free_while_the_pull_runs(stand: SiteStand) -> None:
    """Nobody can run from a SIF that is still being written."""
    stand.tell("apptainer.mode", "wait")
    thread = threading.Thread(target=bring, args=(stand,))
    thread.start()
    wait_for(stand.folder / "pulling")
    assert not stand.sif.exists()
    stand.tell("go")
    thread.join()
    assert stand.sif.exists()


def test_two_deliveries_at_once_pull_once(stand: SiteStand) -> None:
    """The second waits for the first and finds the SIF."""
    stand.tell("apptainer.mode", "wait")
    done: list[Deployment] = []
    patient = replace(REQUEST, lock_wait_s=30)
    threads = [threading.Thread(target=lambda: done.append(bring(stand, patient))) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(stand.folder / "pulling")
    stand.tell("go")
    for thread in threads:
        thread.join()
    assert sorted(item.changed for item in done) == [False, True]
    assert len(stand.calls("apptainer", "pull")) == 1


def test_a_delivery_that_runs_elsewhere_is_named(stand: SiteStand) -> None:
    """Who is not patient learns who holds the lease."""
    stand.tell("apptainer.mode", "wait")
    thread = threading.Thread(target=bring, args=(stand, replace(REQUEST, run="01FIRST")))
    thread.start()
    wait_for(stand.folder / "pulling")
    failure = refusal(stand)
    stand.tell("go")
    thread.join()
    assert isinstance(failure, BusyError)
    assert "01FIRST" in failure.message


def test_what_a_killed_delivery_left_is_swept(stand: SiteStand) -> None:
    """kill -9 in the middle of a pull leaves a partial file under .hpcbake; the next run sweeps it and delivers."""
    stand.tell("apptainer.mode", "wait")
    script = render_deliver_script(REQUEST, stand.site, SpythonCommands())
    killed = subprocess.Popen(["/bin/sh", "-s"], stdin=subprocess.PIPE, start_new_session=True)
    assert killed.stdin is not None
    killed.stdin.write(script.encode())
    killed.stdin.close()
    wait_for(stand.folder / "pulling")
    left = Path(partial_files(stand)[0], "left-by-the-dead")
    left.touch()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    end_pull(stand)
    stand.untell("apptainer.mode")
    assert bring(stand).changed
    assert not left.exists()
    assert partial_files(stand) == []


@pytest.mark.parametrize(
    ("says", "kind", "failure"),
    [
        ("FATAL: ... MANIFEST_UNKNOWN: manifest unknown", "registry.not-found", RegistryError),
        ("FATAL: ... unauthorized: authentication required", "registry.auth", RegistryError),
        ("FATAL: ... write /x: no space left on device", "site.space", SiteResourceError),
        ("FATAL: ... dial tcp 10.0.0.1:443: connect: connection refused", "registry.unreachable", RegistryTempError),
        ("something that nobody has seen before", "site.pull", SiteResourceError),
    ],
)
def test_a_failed_pull_is_explained(stand: SiteStand, says: str, kind: str, failure: type[HpcbakeError]) -> None:
    """The runtime's own words decide the class of the failure and are shown with it."""
    stand.tell("apptainer.mode", "fail")
    stand.tell("apptainer.says", says)
    error = refusal(stand)
    assert (type(error), error.kind) == (failure, kind)
    assert says in str(error.evidence["output"])
    assert not stand.sif.exists()


def test_a_pull_that_hangs_is_ended(stand: SiteStand) -> None:
    """A registry that falls silent costs one deadline: the pull is ended, told, and leaves nothing."""
    stand.tell("apptainer.mode", "hang")
    began = time.monotonic()
    quick = replace(stand.site, runtime=replace(stand.site.runtime, pull_timeout_s=1))
    assert refusal(stand, site=quick).kind == "registry.timeout"
    assert time.monotonic() - began < 5
    assert not Path("/proc", stand.said("pulling").strip()).exists()
    assert partial_files(stand) == []


def test_a_pull_that_is_killed_is_no_silent_registry(stand: SiteStand) -> None:
    """A login node ends what takes too much memory: that is the site's doing, and pulling again would not help."""
    stand.tell("apptainer.mode", "killed")
    assert refusal(stand).kind == "site.memory"
    assert len(stand.calls("apptainer", "pull")) == 1


def test_a_signal_to_the_script_ends_its_pull(stand: SiteStand) -> None:
    """Who ends the script ends the runtime with it, and what it wrote is gone."""
    stand.tell("apptainer.mode", "hang")
    script = render_deliver_script(REQUEST, stand.site, SpythonCommands())
    process = subprocess.Popen(["/bin/sh", "-s"], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None
    process.stdin.write(script.encode())
    process.stdin.close()
    wait_for(stand.folder / "pulling")
    process.terminate()
    process.wait(timeout=10)
    wait_until(lambda: not Path("/proc", stand.said("pulling").strip()).exists())
    assert partial_files(stand) == []


def test_credentials_reach_the_runtime_by_its_environment(stand: SiteStand) -> None:
    """A login with every hostile character comes through as it is, and lies in no file of the store."""
    secret = " p'a\"s\\s $(x) `y` *  "
    bring(stand, replace(REQUEST, credentials=("ada", secret)))
    assert stand.said("login") == f"ada {secret}"
    assert not [path for path in stand.root.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert secret not in stand.said("apptainer.calls")


def test_the_runtime_has_folders_of_its_own(stand: SiteStand) -> None:
    """A poisoned cache or a tiny /tmp of the user does not matter."""
    bring(stand)
    assert all(folder.startswith(str(stand.root / ".hpcbake/incoming")) for folder in split_folders(stand))


def test_a_store_without_room_is_told_before_the_pull(stand: SiteStand) -> None:
    """What will not fit is not begun."""
    failure = refusal(stand, replace(REQUEST, image=replace(built_image(), size_bytes=10**17)))
    assert (type(failure), failure.kind) == (SiteResourceError, "site.space")
    assert stand.calls("apptainer", "pull") == []


def test_a_runtime_that_is_not_there_is_told(stand: SiteStand) -> None:
    """The prelude's last words say why there is no apptainer."""
    prelude = "echo 'module: no apptainer/9' >&2; false"
    site = replace(stand.site, runtime=Runtime(program="no-such-apptainer", prelude=prelude))
    failure = refusal(stand, site=site)
    assert failure.kind == "site.runtime"
    assert "no apptainer/9" in failure.message


@pytest.mark.parametrize(
    "line",
    [
        '[ -n "$NEVER_SET_ANYWHERE" ] || true',
        "set -e; set -u; true",
        "read -r stolen; read -r stolen; true",
        "echo 'state present'; echo 'sha256 forged' >&2",
        "false",
    ],
    ids=["unset variable", "strict", "reads input", "prints", "fails"],
)
def test_a_prelude_need_not_be_written_for_us(stand: SiteStand, line: str) -> None:
    """Module systems use unset variables, print and return what they like; what they leave behind changes nothing."""
    site = replace(stand.site, runtime=replace(stand.site.runtime, prelude=f"{stand.prelude}\n{line}"))
    done = bring(stand, replace(REQUEST, credentials=("ada", "secret")), site)
    assert (done.changed, done.sif_sha256) == (True, Digest.of(sif_bytes(DIGEST)).hex)
    assert stand.said("login") == "ada secret"


def test_a_prelude_that_is_no_shell_is_told(stand: SiteStand) -> None:
    """A quote that is never closed is the site config's mistake, and named as that."""
    site = replace(stand.site, runtime=replace(stand.site.runtime, prelude="module load 'apptainer"))
    failure = refusal(stand, site=site)
    assert failure.kind == "site.runtime"
    assert "prelude" in failure.message


def test_provenance_that_cannot_be_written_is_told(stand: SiteStand) -> None:
    """A SIF without its provenance is no delivery."""
    stand.provenance_file.mkdir(parents=True)
    assert isinstance(refusal(stand), SiteResourceError)


def test_a_store_that_cannot_be_made_is_told(stand: SiteStand) -> None:
    """A file in the place of the store is a matter of permission, named."""
    stand.root.write_text("a file")
    failure = refusal(stand)
    assert failure.kind == "site.permission"
    assert str(stand.root) in failure.message


def split_folders(stand: SiteStand) -> list[str]:
    tmp, _, cache = stand.said("folders").partition(f" {stand.root}")
    return [tmp, f"{stand.root}{cache}"]


def end_pull(stand: SiteStand) -> None:
    """End a stand-in that a killed script left behind."""
    os.kill(int(stand.said("pulling")), signal.SIGKILL)


def wait_for(path: Path) -> None:
    wait_until(lambda: path.exists() and path.read_text() != "")


def wait_until(is_so: object) -> None:
    for _ in range(1000):
        if callable(is_so) and is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


def test_users_of_current_never_lose_it_to_a_repair(stand: SiteStand) -> None:
    """A changed SIF stays under its name when the pull of the right bytes fails: `current` never dangles."""
    bring(stand)
    stand.sif.write_bytes(b"tampered")
    stand.serve_sif(b"not a SIF at all")
    refusal(stand)
    assert stand.sif.read_bytes() == b"tampered"
