"""A build is due when context, bake file, Dockerfile or a base's digest has changed; the reason names what."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.build.fingerprint import Fingerprint, FingerprintReader, compare, parse_fingerprint, render_fingerprint
from hpcbake.errors import ConfigError, RegistryTempError
from hpcbake.model.plan import JsonValue, Plan, Target
from hpcbake.model.reference import Digest, ImageReference

OLD, NEW = Digest.of(b"old"), Digest.of(b"new")
DOCKERFILE = "ARG BASE=debian:13\nFROM ${BASE} AS one\nRUN true\nFROM one\nCOPY . /\nCOPY --from=alpine:3 /a /a\n"


class Stand:
    """A project folder, a target in it, and registries that say what stands in `bases`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bases: dict[str, Digest | None] = {"docker.io/library/debian:13": OLD, "docker.io/library/alpine:3": OLD}
        self.attributes: dict[str, JsonValue] = {"context": ".", "dockerfile": "Dockerfile", "tags": ["r.io/t/app:1"]}
        self.others: dict[str, Target] = {}
        self.is_silent = False
        (folder / "Dockerfile").write_text(DOCKERFILE)
        (folder / "main.c").write_text("int main;")

    def find(self, reference: ImageReference) -> Digest | None:
        if self.is_silent:
            raise RegistryTempError("no answer")
        return self.bases[str(reference)]

    def take(self, known: Fingerprint | None = None) -> Fingerprint:
        plan = Plan({"app": Target("app", self.attributes), **self.others}, {})
        return FingerprintReader(plan, self.folder, self.find).read("app", known)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_nothing_changed_is_no_reason(stand: Stand) -> None:
    """Times do not count, nor do tags, caches and secrets: they are no part of the image."""
    before = stand.take()
    (stand.folder / "main.c").touch()
    stand.attributes |= {"tags": ["r.io/t/app:2"], "cache-to": ["type=inline"], "secret": ["id=a"], "pull": True}
    assert compare(before, stand.take()) == []


def test_files_are_named(stand: Stand) -> None:
    """Changed, new and removed files, and a mode; of many only some by name."""
    before = stand.take()
    (stand.folder / "main.c").write_text("int main();")
    (stand.folder / "new").write_text("")
    assert compare(before, stand.take()) == ["2 files in context changed: main.c, new"]
    (stand.folder / "main.c").write_text("int main;")
    (stand.folder / "new").unlink()
    (stand.folder / "main.c").chmod(0o755)
    assert compare(before, stand.take()) == ["1 file in context changed: main.c"]
    for number in range(9):
        (stand.folder / f"f{number}").write_text("")
    assert compare(before, stand.take()) == ["10 files in context changed: f0, f1, f2, f3, f4 and 5 more"]


def test_what_stays_behind_does_not_count(stand: Stand) -> None:
    """Files that .dockerignore leaves out; the Dockerfile's own ignore file comes before the context's."""
    (stand.folder / ".dockerignore").write_text("*\n")
    before = stand.take()
    (stand.folder / "main.c").write_text("other")
    assert compare(before, stand.take()) == []
    (stand.folder / "Dockerfile.dockerignore").write_text("nothing\n")
    assert "files in context changed" in compare(before, stand.take())[0]


def test_links_and_folders_count(stand: Stand) -> None:
    """Where a link points to, and a folder that is there; a link to a folder is not entered."""
    (stand.folder / "link").symlink_to("main.c")
    before = stand.take()
    (stand.folder / "link").unlink()
    (stand.folder / "link").symlink_to("/")
    (stand.folder / "empty").mkdir()
    assert compare(before, stand.take()) == ["2 files in context changed: empty, link"]


def test_a_base_that_moved_is_named_with_both_digests(stand: Stand) -> None:
    """Each base of a stage that is used, also by COPY --from."""
    before = stand.take()
    stand.bases["docker.io/library/debian:13"] = NEW
    assert compare(before, stand.take()) == [
        f"base debian:13 moved from {str(OLD)[:19]}… to {str(NEW)[:19]}…",
    ]


def test_a_base_by_digest_is_not_looked_up(stand: Stand) -> None:
    """It cannot move."""
    stand.attributes["args"] = {"BASE": f"debian@{OLD}"}
    stand.is_silent = True
    assert [doubt for doubt in stand.take().doubts if "debian" in doubt] == []


def test_a_silent_registry_is_a_doubt_and_no_change(stand: Stand) -> None:
    """Last night's digest counts: sites are still looked after."""
    before = stand.take()
    stand.is_silent = True
    now = stand.take(before)
    assert compare(before, now) == []
    assert now.doubts == tuple(
        f"base {name}: no answer; last night's digest counts" for name in ("debian:13", "alpine:3")
    )


def test_arguments_and_labels_are_named_and_never_shown(stand: Stand) -> None:
    """The reason holds the name; the fingerprint holds sums only."""
    stand.attributes["args"] = {"TOKEN": "hunter2-hunter2"}
    before = stand.take()
    stand.attributes["args"] = {"TOKEN": "other-secret"}
    stand.attributes["labels"] = {"a.b": "c"}
    now = stand.take()
    assert compare(before, now) == ["the bake file changed: args.TOKEN, labels.a.b"]
    assert "secret" not in str(render_fingerprint(now))
    assert "hunter2" not in str(render_fingerprint(before))


def test_the_dockerfile_counts_wherever_it_is(stand: Stand) -> None:
    """As a file, which is part of the context too, and inline."""
    (stand.folder / ".dockerignore").write_text("Dockerfile\n")
    before = stand.take()
    (stand.folder / "Dockerfile").write_text(DOCKERFILE + "RUN more\n")
    assert compare(before, stand.take()) == ["Dockerfile changed"]
    stand.attributes["dockerfile-inline"] = "FROM alpine:3\n"
    before = stand.take()
    stand.attributes["dockerfile-inline"] = "FROM alpine:3\nRUN x\n"
    assert compare(before, stand.take()) == ["dockerfile-inline of target app changed"]


def test_what_it_is_built_on_counts(stand: Stand) -> None:
    """Targets behind `target:`, folders and images behind named contexts."""
    (stand.folder / "lib").mkdir()
    (stand.folder / ".dockerignore").write_text("lib\n")
    stand.others["dep"] = Target("dep", {"context": "lib", "dockerfile-inline": "FROM scratch\n"})
    stand.attributes["contexts"] = {"dep": "target:dep", "src": "./lib", "alpine:3": "docker-image://alpine:3"}
    before = stand.take()
    (stand.folder / "lib" / "x").write_text("")
    assert compare(before, stand.take()) == ["2 files in context changed: ./lib/x, lib/x"]


def test_what_only_the_builder_can_fetch_is_built_every_night(stand: Stand) -> None:
    """A git context: nobody here knows whether it has changed."""
    stand.attributes["context"] = "https://example.org/a.git"
    before = stand.take()
    assert compare(before, stand.take()) == ["its context https://example.org/a.git is fetched by the builder"]


def test_a_missing_context_is_an_error(stand: Stand) -> None:
    """The build could not read it either."""
    stand.attributes["context"] = "nowhere"
    with pytest.raises(ConfigError, match="no such folder"):
        stand.take()


def test_a_fingerprint_survives_its_file(stand: Stand) -> None:
    """Written and read again it is the same; anything else is none."""
    found = stand.take()
    again = parse_fingerprint(render_fingerprint(found))
    assert again is not None
    assert compare(found, again) == []
    rubbish: object
    for rubbish in (None, [["a"]], [[1, 2, 3, 4]], {}, "x"):
        assert parse_fingerprint(rubbish) is None
