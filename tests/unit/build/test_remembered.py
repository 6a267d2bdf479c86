"""A night builds only what must be built, says why, and a broken build costs sites nothing they had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hpcbake.build.document import Shipment
from hpcbake.build.fingerprint import Fact, Fingerprint
from hpcbake.build.memory import BuildFile
from hpcbake.build.remembered import KnownBuild, RememberingBuilder
from hpcbake.errors import BuildError, CantWriteError, HpcbakeError, PrereqError, RegistryTempError
from hpcbake.model.plan import Target
from hpcbake.model.reference import Digest

OLD, NEW = Digest.of(b"old"), Digest.of(b"new")
DOCUMENT = json.dumps({"target": {"app": {}, "tool": {}}})


class Engine:
    """A builder that fails with each of `failures` for the named target, then builds the digest NEW."""

    def __init__(self) -> None:
        self.failures: dict[str, list[HpcbakeError]] = {}
        self.calls: list[list[str]] = []
        self.pulls: list[bool] = []
        self.down = False

    def pushes_by_digest(self) -> bool:
        if self.down:
            raise PrereqError("docker is down")
        return True

    def bake(self, document: str, targets: list[str]) -> dict[str, dict[str, object]]:
        self.calls.append(list(targets))
        self.pulls += [entry.get("pull") for entry in json.loads(document)["target"].values()]
        for name in targets:
            if self.failures.get(name):
                raise self.failures[name].pop(0)
        return {name: {"containerimage.digest": str(NEW)} for name in targets}


def facts(word: str) -> Fingerprint:
    return Fingerprint({Fact("file", "app", "main.c"): word})


class Night:
    """One night over the targets app and tool, whose files hold `words`."""

    def __init__(self, path: Path, engine: Engine, words: dict[str, str], *, refresh: bool = False) -> None:
        self.said: list[str] = []
        self.memory = BuildFile(path)
        self.builder = RememberingBuilder(
            engine,
            [Shipment(Target(name, {}), ()) for name in words],
            take=lambda name, _known: facts(words[name]),
            memory=self.memory,
            say=lambda image, text: self.said.append(f"{image}: {text}"),
            refresh=refresh,
            sleep=lambda _s: None,
        )
        self.names = list(words)

    def bake(self) -> dict[str, str]:
        done = self.builder.bake(DOCUMENT, self.names)
        return {name: str(members["containerimage.digest"]) for name, members in done.items()}


@pytest.fixture
def engine() -> Engine:
    return Engine()


def remember(path: Path, *names: str) -> None:
    memory = BuildFile(path)
    for name in names:
        memory.keep(name, KnownBuild(OLD, facts("a")))


def test_the_first_night_builds_and_the_second_does_not(tmp_path: Path, engine: Engine) -> None:
    """Each says why."""
    first = Night(tmp_path / "builds.json", engine, {"app": "a"})
    assert first.bake() == {"app": str(NEW)}
    assert first.said == ["app: to be built: no build of it is remembered here"]
    second = Night(tmp_path / "builds.json", engine, {"app": "a"})
    assert second.bake() == {"app": str(NEW)}
    assert engine.calls == [["app"]]
    assert second.said == [f"app: nothing has changed since {str(NEW)[:19]}… was built"]


def test_only_what_changed_is_built_with_new_bases(tmp_path: Path, engine: Engine) -> None:
    """One of two targets; the builder looks at base images anew."""
    path = tmp_path / "builds.json"
    remember(path, "app", "tool")
    night = Night(path, engine, {"app": "b", "tool": "a"})
    assert night.bake() == {"app": str(NEW), "tool": str(OLD)}
    assert engine.calls == [["app"]]
    assert set(engine.pulls) == {True}
    assert "app: to be built: 1 file in context changed: main.c" in night.said


def test_refresh_builds_everything(tmp_path: Path, engine: Engine) -> None:
    """--refresh-base, whatever has changed."""
    remember(tmp_path / "builds.json", "app")
    assert Night(tmp_path / "builds.json", engine, {"app": "a"}, refresh=True).bake() == {"app": str(NEW)}


def test_what_the_registry_lost_is_built_again(tmp_path: Path, engine: Engine) -> None:
    """The build stage asks a second time when a remembered digest is not served."""
    remember(tmp_path / "builds.json", "app")
    night = Night(tmp_path / "builds.json", engine, {"app": "a"})
    assert night.bake() == {"app": str(OLD)}
    assert night.bake() == {"app": str(NEW)}


def test_a_broken_build_leaves_the_last_one(tmp_path: Path, engine: Engine) -> None:
    """Sites get what was built before, the failure is kept for the report, the other target is built."""
    remember(tmp_path / "builds.json", "app", "tool")
    engine.failures = {"app": [BuildError("RUN make failed"), BuildError("RUN make failed")]}
    night = Night(tmp_path / "builds.json", engine, {"app": "b", "tool": "b"})
    assert night.bake() == {"app": str(OLD), "tool": str(NEW)}
    assert [error.message for error in night.builder.failures.values()] == ["RUN make failed"]
    after = Night(tmp_path / "builds.json", engine, {"app": "b", "tool": "b"})
    assert after.bake() == {"app": str(NEW), "tool": str(NEW)}, "the next night tries again"


def test_what_passes_is_tried_again(tmp_path: Path, engine: Engine) -> None:
    """A busy registry costs seconds, not the night's build."""
    remember(tmp_path / "builds.json", "app")
    engine.failures = {"app": [RegistryTempError("429"), RegistryTempError("429")]}
    night = Night(tmp_path / "builds.json", engine, {"app": "b"})
    assert night.bake() == {"app": str(NEW)}
    assert night.builder.failures == {}


def test_a_first_build_that_breaks_is_the_caller_s(tmp_path: Path, engine: Engine) -> None:
    """Nothing to fall back on."""
    engine.failures = {"app": [BuildError("no")]}
    with pytest.raises(BuildError):
        Night(tmp_path / "builds.json", engine, {"app": "a"}).bake()


def test_a_builder_out_of_order_matters_only_where_it_is_needed(tmp_path: Path, engine: Engine) -> None:
    """Docker is down: a night with a remembered digest goes on, the very first does not."""
    engine.down = True
    with pytest.raises(PrereqError):
        Night(tmp_path / "builds.json", engine, {"app": "a"}).builder.pushes_by_digest()
    remember(tmp_path / "builds.json", "app")
    assert Night(tmp_path / "builds.json", engine, {"app": "a"}).builder.pushes_by_digest() is False


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "hpcbake.builds", "version": 1, "builds": {"app": {}}}'])
def test_a_damaged_memory_costs_a_build_and_nothing_else(content: str, tmp_path: Path, engine: Engine) -> None:
    """Also one of another version."""
    (tmp_path / "builds.json").write_text(content)
    assert Night(tmp_path / "builds.json", engine, {"app": "a"}).bake() == {"app": str(NEW)}


def test_targets_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """The file does not grow."""
    remember(tmp_path / "builds.json", "app", "tool")
    BuildFile(tmp_path / "builds.json").keep_only(frozenset({"app"}))
    again = BuildFile(tmp_path / "builds.json")
    assert (again.find("app") is not None, again.find("tool")) == (True, None)


def test_a_memory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Exit code 73, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CantWriteError):
        BuildFile(tmp_path / "file" / "builds.json").keep("app", KnownBuild(OLD, facts("a")))
