"""The conversion on the build host: exit 0 is not enough, passing faults are tried again, and it happens once."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.adapters.sifcache import SifFolder
from hpcbake.deliver.convert import ConvertSettings, SifConverter, artifact_tag
from hpcbake.errors import CantWriteError, HpcbakeError, IntegrityError, PrereqError, RegistryTempError
from hpcbake.image.content import Content, ContentEntry
from hpcbake.image.tar import EntryKind
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.ports import Outcome
from hpcbake.model.reference import Digest, ImageReference, parse_image_reference

DIGEST = Digest("sha256:" + "cd" * 32)
IMAGE = BuiltImage("app", "1.0", parse_image_reference(f"reg.example.org/team/app@{DIGEST}"), DIGEST, 1000)
CONTENT: Content = {"bin/app": ContentEntry(EntryKind.FILE, b"\1" * 32)}


class Apptainer:
    """This machine's apptainer: its version, how its builds end, and what it was called with."""

    def __init__(self, *ends: Outcome, version: str = "apptainer version 1.4.5", writes: bool = True) -> None:
        self.ends = list(ends)
        self.version = version
        self.writes = writes
        self.builds: list[list[str]] = []
        self.environments: list[dict[str, str]] = []
        self.keys = ""
        self.signed: list[list[str]] = []
        self.sign_end = Outcome(0)

    def __call__(self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str]) -> Outcome:
        if argv[1] == "--version":
            if not self.version:
                raise PrereqError("not there")
            return Outcome(0, self.version + "\n")
        if argv[1] == "key":
            return Outcome(0, self.keys)
        if argv[1] == "sign":
            self.signed.append(list(argv[2:4]))
            with Path(argv[-1]).open("ab") as file:
                file.write(b", signed")
            return self.sign_end
        self.builds.append(list(argv))
        self.environments.append(dict(environment))
        end = self.ends.pop(0) if self.ends else Outcome(0)
        if end.ok and self.writes:
            Path(argv[-2]).write_bytes(b"SIF of the image")
        return end


class Registry:
    """A registry in memory."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.blobs: set[str] = set()

    def head_manifest(self, ref: ImageReference) -> Digest | None:
        return ref.digest if str(ref.digest) in self.manifests else None

    def put_manifest(self, ref: ImageReference, content: bytes, media_type: str) -> Digest:
        digest = Digest.of(content)
        self.manifests[str(digest)] = self.manifests[str(ref.tag)] = content
        return digest

    def push_blob(self, ref: ImageReference, path: Path, digest: Digest) -> bool:
        assert Digest.of(path.read_bytes()) == digest
        self.blobs.add(str(digest))
        return True

    def speaks_http(self, registry: str) -> bool:
        return False


class Stand:
    """A converter on fakes: change what is to be different."""

    def __init__(self, folder: Path, apptainer: Apptainer, settings: ConvertSettings | None = None) -> None:
        self.apptainer = apptainer
        self.registry = Registry()
        self.in_sif: Content = CONTENT
        self.store = SifFolder(folder)
        self.login: tuple[str, str] | None = None
        self.converter = SifConverter(
            settings or ConvertSettings(),
            run=apptainer,
            commands=SpythonCommands(),
            registry=self.registry,
            store=self.store,
            hash_image=lambda _: CONTENT,
            hash_sif=lambda _: self.in_sif,
            login_for=lambda _: self.login,
            environment={"PATH": "/usr/bin"},
        )


def failing(text: str) -> Outcome:
    return Outcome(255, "", text)


def test_once_per_digest(tmp_path: Path) -> None:
    """The second site gets the kept SIF, and the registry is not sent it again."""
    stand = Stand(tmp_path, Apptainer())
    first = stand.converter.convert(IMAGE, publish=True)
    second = stand.converter.convert(IMAGE, publish=True)
    assert (first.made, second.made, len(stand.apptainer.builds)) == (True, False, 1)
    assert first.artifact == second.artifact and first.sha256 == second.sha256
    manifest = json.loads(stand.registry.manifests[artifact_tag(DIGEST)])
    assert manifest["layers"][0]["digest"] == f"sha256:{first.sha256}"
    assert manifest["config"]["digest"] in stand.registry.blobs
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".work")] == []


def test_what_is_not_the_image_is_never_kept(tmp_path: Path) -> None:
    """apptainer says 0 and made something else: 43 with the files by name; nothing is kept or pushed."""
    stand = Stand(tmp_path, Apptainer())
    stand.in_sif = {}
    with pytest.raises(IntegrityError) as caught:
        stand.converter.convert(IMAGE, publish=True)
    assert caught.value.kind == "image.content"
    assert caught.value.evidence["output"] == "'bin/app' is missing"
    assert not stand.registry.manifests
    assert not list(tmp_path.glob("*.sif"))


def test_exit_zero_without_a_file(tmp_path: Path) -> None:
    """Success is a file that was looked at."""
    with pytest.raises(PrereqError, match="made no file"):
        Stand(tmp_path, Apptainer(writes=False)).converter.convert(IMAGE, publish=False)


@pytest.mark.parametrize(
    ("text", "failure", "builds"),
    [
        ("unexpected EOF", RegistryTempError, 2),
        ("error verifying sha256 checksum", IntegrityError, 2),
        ("no space left on device", CantWriteError, 1),
        ("mksquashfs command failed: signal: killed", PrereqError, 1),
        ("Failed to create user namespace", PrereqError, 1),
        ("who knows", PrereqError, 1),
    ],
)
def test_causes(text: str, failure: type[HpcbakeError], builds: int, tmp_path: Path) -> None:
    """What passes is tried twice; what is this machine's own is told as such, with apptainer's words."""
    stand = Stand(tmp_path, Apptainer(failing(text), failing(text), failing(text)))
    with pytest.raises(failure) as caught:
        stand.converter.convert(IMAGE, publish=False)
    assert text in str(caught.value.evidence["output"])
    assert "this machine" in caught.value.message
    assert len(stand.apptainer.builds) == builds


def test_a_cut_that_passes(tmp_path: Path) -> None:
    """One cut blob costs a second try, not the run."""
    stand = Stand(tmp_path, Apptainer(failing("unexpected EOF")))
    assert stand.converter.convert(IMAGE, publish=False).made
    assert len(stand.apptainer.builds) == 2


def test_limits_and_private_folders(tmp_path: Path) -> None:
    """mksquashfs is bounded, cache and temporary folder are its own, the login is in no argv."""
    stand = Stand(tmp_path, Apptainer(), ConvertSettings(processors=2, memory="512M"))
    stand.login = ("me", "secret-word")
    stand.converter.convert(IMAGE, publish=False)
    (argv,), (environment,) = stand.apptainer.builds, stand.apptainer.environments
    assert "-comp zstd -Xcompression-level 3 -processors 2 -mem 512M" in argv
    assert environment["APPTAINER_CACHEDIR"].startswith(str(tmp_path / ".work-"))
    assert environment["APPTAINER_DOCKER_PASSWORD"] == "secret-word"
    assert not any("secret-word" in word for word in argv)


@pytest.mark.parametrize("version", ["apptainer version 1.3.6", "singularity-ce version 4.1.0"])
def test_limits_only_where_they_are_understood(version: str, tmp_path: Path) -> None:
    """Older programs do not take mksquashfs's arguments: they convert with their own."""
    stand = Stand(tmp_path, Apptainer(version=version))
    stand.converter.convert(IMAGE, publish=False)
    assert "--mksquashfs-args" not in stand.apptainer.builds[0]


def test_one_conversion_at_a_time(tmp_path: Path) -> None:
    """Sites that want different images at the same moment wait for one another: the bounds hold for the machine."""
    at_work: list[int] = []
    most: list[int] = []

    class Slow(Apptainer):
        def __call__(self, argv: Sequence[str], *, timeout_s: float, environment: Mapping[str, str]) -> Outcome:
            if argv[1] == "build":
                at_work.append(1)
                most.append(len(at_work))
                threading.Event().wait(0.02)
                at_work.pop()
            return super().__call__(argv, timeout_s=timeout_s, environment=environment)

    converter = Stand(tmp_path, Slow()).converter
    digests = [Digest("sha256:" + f"{number:02x}" * 32) for number in range(4)]
    images = [BuiltImage("app", "1", IMAGE.reference.with_digest(digest), digest, 1000) for digest in digests]
    threads = [threading.Thread(target=converter.convert, args=(one,), kwargs={"publish": False}) for one in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_no_apptainer_here(tmp_path: Path) -> None:
    """It is said in a few words, and asked for once."""
    converter = Stand(tmp_path, Apptainer(version="")).converter
    assert converter.why_not() == "no apptainer on this machine"
    with pytest.raises(PrereqError, match="cannot convert app: no apptainer on this machine"):
        converter.convert(IMAGE, publish=False)


def test_no_room_here(tmp_path: Path) -> None:
    """What it needs and what is there, before anything is written."""
    stand = Stand(tmp_path, Apptainer())
    huge = BuiltImage("app", "1", IMAGE.reference, DIGEST, 1 << 60)
    with pytest.raises(CantWriteError, match=r"needs \d+ kB to convert app and has \d+ kB"):
        stand.converter.convert(huge, publish=False)
    assert stand.apptainer.builds == []


KEYS = """Private key listing (/home/me/.apptainer/keys/pgp-secret):

0)  User:              other <o@example.org>
    Fingerprint:       AAAABBBBCCCCDDDDEEEEFFFF0000111122223333
1)  User:              baker (none) <b@example.org>
    Fingerprint:       2F9ED66B0E037C2B3231E239CA0B5C2F806967C0
"""
KEY = "2f9ed66b0e037c2b3231e239ca0b5c2f806967c0"


def test_signed_by_the_key_of_this_fingerprint(tmp_path: Path) -> None:
    """The key is found by its fingerprint, never by its place; the unsigned SIF of the same image is another one."""
    Stand(tmp_path, Apptainer()).converter.convert(IMAGE, publish=False)
    apptainer = Apptainer()
    apptainer.keys = KEYS
    stand = Stand(tmp_path, apptainer, ConvertSettings(sign=KEY))
    signed = stand.converter.convert(IMAGE, publish=True)
    assert apptainer.signed == [["--keyidx", "1"]]
    assert signed.made and signed.path.read_bytes().endswith(b", signed")
    assert not stand.converter.convert(IMAGE, publish=True).made


def test_no_such_key_and_a_key_that_does_not_sign(tmp_path: Path) -> None:
    """Nothing is kept that should be signed and is not."""
    apptainer = Apptainer()
    stand = Stand(tmp_path, apptainer, ConvertSettings(sign=KEY))
    with pytest.raises(PrereqError, match="has no secret key"):
        stand.converter.convert(IMAGE, publish=False)
    apptainer.keys, apptainer.sign_end = KEYS, Outcome(255, "", "FATAL: passphrase")
    with pytest.raises(PrereqError, match="ended with 255") as caught:
        stand.converter.convert(IMAGE, publish=False)
    assert "passphrase" in str(caught.value.evidence["output"])
    assert not list(tmp_path.glob("*.sif"))
