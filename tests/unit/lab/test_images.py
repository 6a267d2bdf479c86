"""Images: their names, their recipe, their base releases, and what a failed build means."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

import pytest

from hpcbake.errors import PrereqError, RegistryError
from hpcbake.lab.bases import (
    OLD_RELEASES,
    OldBase,
    bootstrap_argv,
    choose_old_base,
    docker_architecture,
    ensure_bases,
    probe,
    read_old_base,
    write_old_base,
)
from hpcbake.lab.compose import BASE_IMAGES, Compose
from hpcbake.lab.engine import Engine
from hpcbake.lab.images import age_days, base_references, explain_build_failure, fetch_digest, find_age_days, push_bases
from hpcbake.lab.machine import LocalMachine, require
from hpcbake.lab.mirror import PUBLIC_ATTIC, Mirror
from hpcbake.lab.packages import BOOTSTRAP_NEEDS, ensure_packages
from hpcbake.lab.progress import Progress
from hpcbake.lab.recipe import recipe_of
from hpcbake.model.ports import Outcome
from tests.unit.lab.machines import FakeMachine, lab_settings

MIRROR = Mirror("http://mirror.example/debian")
QUIET = Progress(lambda line: None)


def engine(folder: Path) -> Engine:
    return Engine("own", "docker", "unix:///s", folder)


@pytest.mark.parametrize("status", [200, 401, 503, None])
def test_the_oldest_release_is_used_while_the_mirror_may_have_it(status: int | None) -> None:
    """Only a clear no counts: a proxy's trouble must not change what the lab is."""
    assert choose_old_base(MIRROR, probe=lambda url, proxy: status).release.glibc == "2.31"


def test_a_release_that_left_the_mirror_comes_from_the_attic() -> None:
    """The archive changes, the release does not, and it is said."""
    answers = {MIRROR.uri: 404, PUBLIC_ATTIC: 200}
    old = choose_old_base(MIRROR, probe=lambda url, proxy: answers[url.partition("/dists")[0]])
    assert (old.release.suite, old.archive) == ("bullseye", PUBLIC_ATTIC)
    assert "no longer has bullseye" in old.note


def test_a_release_that_is_nowhere_is_replaced_and_named_so() -> None:
    """Nothing made from another release keeps the old one's name."""
    old = choose_old_base(MIRROR, probe=lambda url, proxy: 404)
    assert (old.release.suite, old.release.glibc) == ("bookworm", "2.36")
    assert "2.36 instead" in old.note
    assert base_references("localhost:1", old.release)["BASE"] == "localhost:1/lab/debian12-standin:2.36"


def test_names_of_base_images_say_what_they_are() -> None:
    """Debian's number and glibc's version, for the variables that the examples use."""
    assert base_references("localhost:5083", OLD_RELEASES[0]) == {
        "BASE": "localhost:5083/lab/debian11-standin:2.31",
        "BASE_MINIMAL": "localhost:5083/lab/debian11-standin-minimal:2.31",
        "NEWER_BASE": "localhost:5083/lab/debian:trixie",
    }


def test_the_choice_of_a_release_is_remembered(tmp_path: Path) -> None:
    """A warm start asks no network; a note that cannot be read is no note."""
    old = OldBase(OLD_RELEASES[1], "http://a.example/debian", "why")
    write_old_base(tmp_path / "note", old)
    assert read_old_base(tmp_path / "note") == old
    for text in ("", "{}", '{"suite": "potato", "archive": "", "note": ""}', "[]"):
        (tmp_path / "note").write_text(text)
        assert read_old_base(tmp_path / "note") is None


def test_a_bootstrap_is_minimal_and_from_the_given_archive(tmp_path: Path) -> None:
    """Root bootstraps as root, a user with mapped ids."""
    argv = bootstrap_argv("trixie", "http://m.example/debian", tmp_path / "x.tar", is_root=True)
    assert argv[-3:] == ["trixie", str(tmp_path / "x.tar"), "deb http://m.example/debian trixie main"]
    assert {"--variant=minbase", "--mode=root"} <= set(argv)
    assert "--mode=unshare" in bootstrap_argv("trixie", "http://m.example/debian", tmp_path / "x", is_root=False)


def test_processors_have_dockers_names() -> None:
    """The kernel's and Docker's names differ for both that the lab knows."""
    assert [docker_architecture(name) for name in ("x86_64", "aarch64", "riscv64")] == ["amd64", "arm64", "riscv64"]


def test_bases_that_are_there_are_left_alone(tmp_path: Path) -> None:
    """No network, no bootstrap."""
    machine = FakeMachine({"docker image inspect": Outcome(0)})
    ensure_bases(machine, engine(tmp_path), lab_settings(tmp_path), MIRROR, OldBase(OLD_RELEASES[0], MIRROR.uri), QUIET)
    assert len(machine.ran) == 2


def test_a_probe_of_a_dead_address_is_quick_and_none() -> None:
    """Offline must not hang."""
    assert probe("http://127.0.0.1:1/", timeout_s=2) is None


def test_the_recipe_names_content_path_mode_and_release(tmp_path: Path) -> None:
    """Each of them makes another recipe; the time of a file does not."""
    file = tmp_path / "a/script"
    file.parent.mkdir()
    file.write_text("one")
    first = recipe_of(tmp_path, "trixie")
    os.utime(file, (1, 1))
    assert recipe_of(tmp_path, "trixie") == first
    assert recipe_of(tmp_path, "sid") != first
    file.chmod(0o755)
    second = recipe_of(tmp_path, "trixie")
    assert second != first
    file.write_text("two")
    third = recipe_of(tmp_path, "trixie")
    file.rename(tmp_path / "a/other")
    assert len({first, second, third, recipe_of(tmp_path, "trixie")}) == 4


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("#9 E: Unable to locate package apptainer", "apptainer"),
        ("hpcbake-lab: Debian unstable at http://m/ has no apptainer package", "apptainer"),
        ("write /x: no space left on device", "HPCBAKE_LAB_CACHE"),
        ("Temporary failure resolving 'deb.debian.org'", "HPCBAKE_LAB_DNS"),
        ("something else", "run it again"),
    ],
)
def test_a_failed_build_says_what_to_do(log: str, word: str) -> None:
    """The known causes have their own remedy."""
    assert word in explain_build_failure(log)


def test_the_age_of_images_is_in_days() -> None:
    """Docker's times have nanoseconds and a zone letter; what cannot be read is young."""
    now = datetime(2026, 3, 31, tzinfo=timezone.utc)
    assert age_days('"2026-03-01T00:00:00.123456789Z"', now=now) == 30
    assert age_days("null", now=now) == 0
    assert age_days("", now=now) == 0


def test_one_missing_image_means_build(tmp_path: Path) -> None:
    """The age is known only when all are there."""
    present = Compose(
        FakeMachine({"docker image inspect": Outcome(0, '"2026-03-01T00:00:00Z"')}),
        engine(tmp_path),
        {"HPCBAKE_LAB_RECIPE": "r"},
    )
    assert find_age_days(present) is not None
    partial = FakeMachine(
        {"docker image inspect": Outcome(0, '"x"'), "docker image inspect --format {{.Id}}": Outcome(1)}
    )
    assert find_age_days(Compose(partial, engine(tmp_path), {"HPCBAKE_LAB_RECIPE": "r"})) is None


class Registry(http.server.BaseHTTPRequestHandler):
    """Answers HEAD for manifests with the digests in `served`."""

    served: ClassVar[dict[str, str]] = {}

    def do_HEAD(self) -> None:
        digest = self.served.get(self.path)
        self.send_response(200 if digest else 404)
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def registry() -> Iterator[int]:
    Registry.served = {}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def push_with(tmp_path: Path, port: int, *, is_pushed: bool) -> tuple[dict[str, str], FakeMachine]:
    """Push to `registry` with a docker that (really or only allegedly) does."""
    references = base_references(f"localhost:{port}", OLD_RELEASES[0])
    by_reference = dict(zip(references.values(), BASE_IMAGES, strict=True))

    def push(argv: object) -> Outcome:
        repository, _, tag = list(argv)[-1].partition("/")[2].rpartition(":")  # type: ignore[call-overload]
        if is_pushed:
            name = by_reference[f"localhost:{port}/{repository}:{tag}"]
            Registry.served[f"/v2/{repository}/manifests/{tag}"] = f"sha256:{name}"
        return Outcome(0)

    def inspect(argv: object) -> Outcome:
        return Outcome(0, "sha256:" + list(argv)[-1].partition("/")[2].partition(":")[0] + "\n")  # type: ignore[call-overload]

    machine = FakeMachine({"docker image inspect": inspect, "docker tag": Outcome(0), "docker push": push})
    compose = Compose(machine, engine(tmp_path), {"HPCBAKE_LAB_RECIPE": "r"})
    return push_bases(compose, port, references), machine


def test_bases_are_pinned_by_the_registrys_digest_and_pushed_once(tmp_path: Path, registry: int) -> None:
    """The second time the registry already serves them."""
    pinned, first = push_with(tmp_path, registry, is_pushed=True)
    assert pinned["BASE"] == f"localhost:{registry}/lab/debian11-standin:2.31@sha256:standin"
    again, second = push_with(tmp_path, registry, is_pushed=True)
    assert again == pinned
    assert sum(argv[1] == "push" for argv in first.ran) == 3
    assert not any(argv[1] == "push" for argv in second.ran)


def test_a_push_that_the_registry_does_not_confirm_is_an_error(tmp_path: Path, registry: int) -> None:
    """A zero exit code of `docker push` is not enough."""
    with pytest.raises(RegistryError, match="does not serve"):
        push_with(tmp_path, registry, is_pushed=False)


def test_no_registry_is_no_digest() -> None:
    """Also when nobody listens."""
    assert fetch_digest(1, "lab/x", "1", attempts=1) is None


def test_packages_that_are_there_are_not_installed(tmp_path: Path) -> None:
    """No apt at all on a prepared machine."""
    machine = FakeMachine(programs=["mmdebstrap", "apt-get"])
    ensure_packages(machine, QUIET, lab_settings(tmp_path), {"mmdebstrap": "mmdebstrap", "/": "base-files"})
    assert machine.ran == []


def test_missing_packages_are_installed_by_root_and_said(tmp_path: Path) -> None:
    """One installation of exactly what is missing; a stale third-party source does not stop it."""
    lines: list[str] = []
    machine = FakeMachine({"apt-get": Outcome(0), "apt-get -q update": Outcome(100)}, programs=["apt-get", "runc"])
    ensure_packages(machine, Progress(lines.append), lab_settings(tmp_path), {"runc": "runc", "iptables": "iptables"})
    assert machine.ran[-1][-2:] == ["--no-install-recommends", "iptables"]
    assert "installing iptables with apt" in lines[0]


@pytest.mark.parametrize(("programs", "is_root"), [([], True), (["apt-get"], False)])
def test_who_cannot_install_is_told_what_to_install(tmp_path: Path, programs: list[str], is_root: bool) -> None:
    """No apt, or no right to use it."""
    with pytest.raises(PrereqError, match="mmdebstrap") as caught:
        ensure_packages(FakeMachine(programs=programs), QUIET, lab_settings(tmp_path, is_root=is_root), BOOTSTRAP_NEEDS)
    assert "apt-get install" in caught.value.remedy


def test_programs_run_with_their_end_told(tmp_path: Path) -> None:
    """Exit code and text as they are; a missing program and an overrun have the shell's codes."""
    machine = LocalMachine()
    assert machine.run(["sh", "-c", "cat; exit 3"], timeout_s=10, stdin=b"in").stdout == "in"
    assert machine.run(["sh", "-c", "exit 3"], timeout_s=10).exit_code == 3
    assert machine.run(["no-such-program-here"], timeout_s=10).exit_code == 127
    assert machine.run(["sleep", "10"], timeout_s=0.1).exit_code == 124
    assert machine.run(["printenv", "X"], timeout_s=10, environ={"X": "y"}).stdout == "y\n"
    logged = machine.run(["sh", "-c", "echo out; echo err >&2; exit 1"], timeout_s=10, log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == logged.stderr == "out\nerr\n"


def test_a_failed_step_shows_its_last_lines() -> None:
    """The output is evidence, the remedy the caller's."""
    with pytest.raises(PrereqError) as caught:
        require(Outcome(7, "", "first\nlast\n"), "doing it", remedy="do it right")
    assert (caught.value.message, caught.value.remedy) == ("doing it failed (exit code 7)", "do it right")
    assert "last" in json.dumps(caught.value.evidence)
