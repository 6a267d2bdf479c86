"""The check against real engines: BuildKit's layers, docker's own merge, a registry with a password, real starts."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import textwrap
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hpcbake.adapters.imagesource import RegistrySource
from hpcbake.adapters.localimage import scan_local_image
from hpcbake.adapters.registry import RegistryClient
from hpcbake.image.scan import ScannedImage, scan_image
from hpcbake.image.tar import EntryKind
from hpcbake.model.reference import parse_image_reference
from tests.integration.abi_workshop import Workshop
from tests.integration.conftest import RunningLab

pytestmark = [
    pytest.mark.lab,
    pytest.mark.siteless,
    pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="pip install hpcbake[abi-fixtures]"),
]

#: One of everything that layers can do to one another.
MERGED = r"""
    ARG BASE
    FROM ${BASE}
    RUN mkdir -p /a/b/c /d /e && echo 1 > /a/b/c/f && echo 2 > /a/b/g && ln -s /a /la && ln /a/b/g /d/hard \
     && echo x > /file-then-folder && mkdir /folder-then-file && echo y > /folder-then-file/z
    RUN rm /a/b/g && rm -rf /a/b/c && mkdir /a/b/c && echo new > /a/b/c/new \
     && rm /file-then-folder && mkdir /file-then-folder && echo q > /file-then-folder/in \
     && rm -rf /folder-then-file && echo file > /folder-then-file
    RUN rm -rf /usr/share/doc && mkdir -p /usr/share/doc && ln -s /d /e/ld && ln -s /loop2 /loop1 \
     && ln -s /loop1 /loop2 && mkfifo /e/fifo && echo hi > /la/through && chmod 700 /e && chmod 4755 /d/hard
    RUN n=$(printf 'n%.0s' $(seq 120)); mkdir -p /$n/$n/$n && echo deep > /$n/$n/$n/$n && truncate -s 1G /sparse \
     && printf a | dd of=/sparse bs=1 seek=1000000 conv=notrunc
    COPY x/ /la/
"""
PTHREAD = "#include <pthread.h>\nstatic void *run(void *x) { return x; }\n"
THREADED = PTHREAD + "int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0); }"
USES_FOO = "int foo(void); int main(void) { return foo() - 7; }"

#: Each a stage, and whether its command starts.
STARTS = {
    "hello-2-17": ("COPY hello-2.17 /usr/local/bin/app", True),
    "hello-2-28": ("COPY hello-2.28 /usr/local/bin/app", True),
    "hello-2-34": ("COPY hello-2.34 /usr/local/bin/app", False),
    "debian-sort": ("COPY --from=newer /usr/bin/sort /usr/local/bin/app", False),
    "missing-lib": ("COPY foo /usr/local/bin/app", False),
    "wrong-folder": ("COPY foo /usr/local/bin/app\nCOPY libfoo.so.1 /opt/lib/", False),
    "env-llp": ("COPY foo /usr/local/bin/app\nCOPY libfoo.so.1 /opt/lib/\nENV LD_LIBRARY_PATH=/opt/lib", True),
    "conf-no-ldconfig": (
        "COPY foo /usr/local/bin/app\nCOPY libfoo.so.1 /opt/lib/\nRUN echo /opt/lib > /etc/ld.so.conf.d/x.conf",
        False,
    ),
    "conf-ldconfig": (
        "COPY foo /usr/local/bin/app\nCOPY libfoo.so.1 /opt/lib/\n"
        "RUN echo /opt/lib > /etc/ld.so.conf.d/x.conf && ldconfig",
        True,
    ),
    "runpath": ("COPY foo-runpath /usr/local/bin/app\nCOPY libfoo.so.1 /usr/local/bin/", True),
    "musl-dyn": ("COPY musl-dyn /usr/local/bin/app", False),
    "musl-static": ("COPY musl-static /usr/local/bin/app", True),
    "i386": ("COPY i386 /usr/local/bin/app", False),
    "arm64": ("COPY arm64 /usr/local/bin/app", False),
    "removed-above": (
        "COPY hello-2.34 /usr/local/bin/bad\nRUN rm /usr/local/bin/bad\nCOPY hello-2.17 /usr/local/bin/app",
        True,
    ),
    "second-name": (
        "COPY hello-2.34 /usr/local/bin/bad\nRUN ln /usr/local/bin/bad /usr/local/bin/app && rm /usr/local/bin/bad",
        False,
    ),
    "script-without-interpreter": ("COPY script /usr/local/bin/app", False),
}


@pytest.fixture(scope="session")
def shop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(Path(request.config.cache.mkdir("abi")))


@pytest.fixture
def repository(lab: RunningLab) -> Iterator[str]:
    """A repository of this test's own; its images are taken out of the engine again."""
    name = f"{lab.registry}/check-{uuid.uuid4().hex[:8]}/app"
    yield name
    ids = lab.docker("images", "-q", name).stdout.split()
    if ids:
        lab.docker("rmi", "-f", *ids)


def build(lab: RunningLab, folder: Path, output: str, *words: str) -> None:
    base = [f"--build-arg={name}={lab.env[name]}" for name in ("BASE", "NEWER_BASE")]
    done = lab.docker("buildx", "build", "-q", *base, "--output", output, *words, str(folder), timeout_s=300)
    assert done.returncode == 0, done.stderr


def contents(lab: RunningLab, image: str) -> dict[str, tuple[str, str, int]]:
    """Kind, link target and mode of every path, as docker itself merges the layers."""
    made = lab.docker("create", image, "x")
    assert made.returncode == 0, made.stderr
    container = made.stdout.strip()
    try:
        done = subprocess.run(
            ["docker", "export", container], env=lab.env, capture_output=True, check=True, timeout=120
        )
    finally:
        lab.docker("rm", container)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            kind = "folder" if member.isdir() else "link" if member.issym() else "file" if member.isfile() else "other"
            kind = "file" if member.islnk() else kind
            mode = 0 if member.issym() or member.islnk() else member.mode & 0o7777
            found["/" + member.name.strip("/")] = (kind, member.linkname if member.issym() else "", mode)
    return found


def merged(image: ScannedImage) -> dict[str, tuple[str, str, int]]:
    """The same of our own tree."""
    kinds = {EntryKind.FILE: "file", EntryKind.SYMLINK: "link"}
    found = {path: ("folder", "", folder.mode) for path, folder in image.tree.walk_folders()}
    for path, node in image.tree.walk():
        kind = kinds.get(node.kind, "other")
        found[path] = (kind, node.target if kind == "link" else "", 0 if kind == "link" else node.mode)
    return found


def assert_same(ours: dict[str, tuple[str, str, int]], dockers: dict[str, tuple[str, str, int]]) -> None:
    #: What docker makes for a container, and names that it reports as a second name of another file (no mode then).
    made = {"/", "/.dockerenv", "/dev", "/proc", "/sys", "/etc"}
    own = {path for path in dockers if path in made or path.startswith(("/dev/", "/etc/"))}
    assert set(ours) - set(dockers) == set()
    assert set(dockers) - set(ours) - own == set()
    for path, theirs in dockers.items():
        if path in ours and path not in own:
            assert ours[path] == theirs or (theirs[2] == 0 and ours[path][:2] == theirs[:2]), path


def test_merged_as_docker_merges(lab: RunningLab, repository: str, tmp_path: Path) -> None:
    """Whiteouts, opaque folders, links of both kinds, sparse and deep files: as `docker export` has them.

    The same for every compression that BuildKit knows, for an OCI archive and for `docker save`.
    """
    (tmp_path / "Dockerfile").write_text(textwrap.dedent(MERGED))
    (tmp_path / "x" / "b").mkdir(parents=True)
    (tmp_path / "x" / "b" / "copied").write_text("c")
    (tmp_path / "x" / "dl").symlink_to("../d")
    for form in ("gzip", "zstd", "estargz", "uncompressed"):
        build(lab, tmp_path, f"type=registry,name={repository}:{form},compression={form},force-compression=true")
    assert lab.docker("pull", "-q", f"{repository}:gzip").returncode == 0
    dockers = contents(lab, f"{repository}:gzip")
    for form in ("gzip", "zstd", "estargz", "uncompressed"):
        source = RegistrySource(RegistryClient(), parse_image_reference(f"{repository}:{form}"))
        assert_same(merged(scan_image(source)), dockers)
    build(lab, tmp_path, f"type=oci,dest={tmp_path / 'oci.tar'}")
    assert lab.docker("save", "-o", str(tmp_path / "save.tar"), f"{repository}:gzip").returncode == 0
    for name in ("oci.tar", "save.tar"):
        scanned = scan_local_image(str(tmp_path / name))
        assert scanned is not None
        assert_same(merged(scanned), dockers)


def check(lab: RunningLab, reference: str, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**lab.env, "HPCBAKE_CACHE_DIR": str(cache)}
    argv = [sys.executable, "-m", "hpcbake", "check", reference, "--profile", "rocky-8.10", *words]
    return subprocess.run(argv, env=environ, cwd=cache, capture_output=True, text=True, timeout=120, check=False)


def write_programs(shop: Workshop, folder: Path) -> None:
    """What the stages copy."""
    foo = shop.zig(
        "x86_64-linux-gnu.2.28", "int foo(void) { return 7; }", "-shared", "-fPIC", "-Wl,-soname,libfoo.so.1"
    )
    inputs = {"libfoo.so": foo}
    hello = "int main(void) { return 0; }"
    programs = {
        "hello-2.17": shop.zig("x86_64-linux-gnu.2.17", hello),
        "hello-2.28": shop.zig("x86_64-linux-gnu.2.28", THREADED),
        "hello-2.34": shop.zig("x86_64-linux-gnu.2.34", THREADED),
        "libfoo.so.1": foo,
        "foo": shop.zig("x86_64-linux-gnu.2.28", USES_FOO, "-L.", "-lfoo", inputs=inputs),
        "foo-runpath": shop.zig("x86_64-linux-gnu.2.28", USES_FOO, "-L.", "-lfoo", "-Wl,-rpath,$ORIGIN", inputs=inputs),
        "musl-dyn": shop.zig("x86_64-linux-musl", hello, "-dynamic"),
        "musl-static": shop.zig("x86_64-linux-musl", hello, "-static"),
        "i386": shop.zig("x86-linux-gnu.2.28", hello),
        "arm64": shop.zig("aarch64-linux-gnu.2.28", hello),
        "script": b"#!/usr/bin/no-such-interpreter\n",
    }
    for name, content in programs.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)


def test_verdicts_and_real_starts(lab: RunningLab, repository: str, shop: Workshop, tmp_path: Path) -> None:
    """On a base with an old glibc: docker starts the program if, and only if, the check finds nothing against it."""
    write_programs(shop, tmp_path)
    stages = "".join(f'FROM base AS {name}\n{text}\nCMD ["/usr/local/bin/app"]\n' for name, (text, _) in STARTS.items())
    head = "ARG BASE\nARG NEWER_BASE\nFROM ${NEWER_BASE} AS newer\nFROM ${BASE} AS base\n"
    (tmp_path / "Dockerfile").write_text(head + stages)
    cache = tmp_path / "cache"
    cache.mkdir()
    wrong = []
    for name, (_, expected) in STARTS.items():
        build(lab, tmp_path, f"type=registry,name={repository}:{name}", "--target", name)
        really = lab.docker("run", "--rm", "--pull", "always", "--quiet", f"{repository}:{name}")
        said = check(lab, f"{repository}:{name}", cache, "--json")
        (site,) = json.loads(said.stdout)["sites"]
        if not (really.returncode == 0) == (site["verdict"] in ("PASS", "WARN")) == expected:
            wrong.append(f"{name}: {site['verdict']}, docker: {really.returncode} {really.stderr[-200:]}")
    assert not wrong


def test_registry_with_password_and_its_own_authority(lab: RunningLab, tmp_path: Path) -> None:
    """TLS by the lab's own authority, a login as docker keeps it; without either the message says what lacks."""
    config = tmp_path / "docker"
    config.mkdir()
    environ = {**lab.env, "DOCKER_CONFIG": str(config)}
    password = (lab.state / "registry-password").read_text()
    login = ["docker", "login", lab.registry_tls, "-u", "baker", "--password-stdin"]
    subprocess.run(login, env=environ, input=password, text=True, check=True, capture_output=True, timeout=60)
    reference = f"{lab.registry_tls}/check-{uuid.uuid4().hex[:8]}/app:1"
    for words in (
        ["pull", "-q", lab.env["BASE_MINIMAL"]],
        ["tag", lab.env["BASE_MINIMAL"], reference],
        ["push", reference],
    ):
        subprocess.run(["docker", *words], env=environ, check=True, capture_output=True, timeout=300)
    lab.docker("rmi", reference)
    within = RunningLab(lab.state, environ, lab.registry, lab.registry_tls)
    authority = ["--ca-file", str(lab.state / "ca.crt")]
    assert check(within, reference, tmp_path, *authority).returncode == 0
    untrusted = check(within, reference, tmp_path)
    assert untrusted.returncode == 21 and "not trusted" in untrusted.stderr
    stranger = RunningLab(lab.state, {**lab.env, "DOCKER_CONFIG": str(tmp_path)}, lab.registry, lab.registry_tls)
    refused = check(stranger, reference, tmp_path, *authority)
    assert refused.returncode == 21 and f"docker login {lab.registry_tls}" in refused.stderr
    assert password.strip() not in untrusted.stderr + refused.stderr + os.fspath(tmp_path)


@contextmanager
def proxy(port: int, damage: str) -> Iterator[int]:
    """A TCP proxy in front of the registry that flips a bit of every megabyte, or closes after three of them."""
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        passed = 0
        with suppress(OSError):
            while piece := bytearray(source.recv(65536)):
                passed += len(piece)
                if is_answer and damage == "flip" and passed % 2**20 < len(piece):
                    piece[-1] ^= 1
                if is_answer and damage == "cut" and passed > 3 * 2**20:
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client = server.accept()[0]
                upstream = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=pump, args=(client, upstream, False), daemon=True).start()
                threading.Thread(target=pump, args=(upstream, client, True), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.mark.parametrize(("damage", "code"), [("flip", 43), ("cut", 31)])
def test_what_a_bad_network_does_is_never_compatible(lab: RunningLab, tmp_path: Path, damage: str, code: int) -> None:
    """Flipped bits are an integrity error, a blob that never comes whole leaves the image unchecked."""
    registry, _, rest = lab.env["BASE"].partition("/")
    with proxy(int(registry.rpartition(":")[2]), damage) as port:
        done = check(lab, f"localhost:{port}/{rest}", tmp_path, "--no-cache")
    assert done.returncode == code, done.stdout + done.stderr
    assert "PASS" not in done.stdout
