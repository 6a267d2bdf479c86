"""Compose files as definitions: places, several files, what surrounds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.bakefile.compose import is_compose, read_compose
from hpcbake.bakefile.compose.targets import binary_size
from hpcbake.bakefile.composeworld import ComposeWorld
from hpcbake.bakefile.definition import Definitions
from hpcbake.bakefile.diagnostics import BakeFileError
from hpcbake.bakefile.source import COMPOSE, SourceFile


def read(folder: Path, *texts: str, environment: dict[str, str] | None = None) -> Definitions:
    files = [SourceFile(f"compose{i}.yaml", text, COMPOSE) for i, text in enumerate(texts)]
    return read_compose(files, ComposeWorld(folder, environment or {}, {"FROM_VAR": "v"}))


def test_services_with_a_build_are_targets(tmp_path: Path) -> None:
    """Sorted, dots as underscores, all in `default`; others are not."""
    found = read(tmp_path, "services:\n  b.c: {build: .}\n  a: {build: x}\n  db: {image: postgres}\n")
    assert [t.name for t in found.targets] == ["a", "b_c"]
    assert found.groups[0].targets == ("a", "b_c")


def test_attributes_are_blamed_where_they_stand(tmp_path: Path) -> None:
    """Each attribute has the place of its compose key, in whichever file it is."""
    found = read(
        tmp_path,
        "services:\n  web:\n    build:\n      context: app\n      tags: [a]\n",
        "services:\n  web:\n    image: i\n    build:\n      tags: [b]\n      x-bake:\n        platforms: linux/amd64\n",
    )
    (web,) = found.targets
    assert {name: f"{span.path}:{span.line}" for name, span in web.spans.items()} == {
        "context": "compose0.yaml:4",
        "tags": "compose1.yaml:5",
        "platforms": "compose1.yaml:7",
    }


def test_variables_come_from_var_then_environment_then_dotenv(tmp_path: Path) -> None:
    """And the project's name is `bake` unless somebody says otherwise."""
    (tmp_path / ".env").write_text("A=dotenv\nB=dotenv\nFROM_VAR=dotenv\n")
    text = "services:\n  web:\n    build:\n      args: {X: '$A $B $FROM_VAR $COMPOSE_PROJECT_NAME'}\n"
    (web,) = read(tmp_path, text, environment={"A": "process"}).targets
    assert web.attributes["args"] == {"X": "process dotenv v bake"}
    (web,) = read(tmp_path, f"name: mine\n{text}").targets
    assert web.attributes["args"] == {"X": "dotenv dotenv v mine"}


def test_unset_variables_are_warned_of_where_they_matter(tmp_path: Path) -> None:
    """Once, and not for ports or commands, which bake does not use."""
    found = read(tmp_path, "services:\n  web:\n    ports: ['$PORT']\n    image: '$TAG'\n    build: '$TAG'\n")
    assert [(w.code, w.span.line if w.span else 0) for w in found.warnings] == [("HB-BAKE-255", 4)]


def test_unknown_keys_of_x_bake_are_warned_of(tmp_path: Path) -> None:
    """buildx ignores them in silence."""
    found = read(tmp_path, "services:\n  web:\n    build:\n      x-bake: {tag: a}\n")
    assert [w.help for w in found.warnings] == ["did you mean tags?"]


def test_all_violations_are_told_at_once(tmp_path: Path) -> None:
    """With the key's own place, and the key that was probably meant."""
    with pytest.raises(BakeFileError) as caught:
        read(tmp_path, "services:\n  web:\n    build:\n      contxt: x\n      tags: a\n      no_cache: 5\n")
    assert [d.span.line for d in caught.value.diagnostics if d.span] == [4, 5, 6]
    assert "compose0.yaml:4:7" in caught.value.message
    assert "did you mean context?" in caught.value.message


def test_circles_of_extends_and_include_are_refused(tmp_path: Path) -> None:
    """Each with the place of the reference."""
    with pytest.raises(BakeFileError, match="circle"):
        read(tmp_path, "services:\n  a: {extends: b}\n  b: {extends: a}\n")
    (tmp_path / "a.yaml").write_text("include: [b.yaml]\n")
    (tmp_path / "b.yaml").write_text("include: [a.yaml]\n")
    with pytest.raises(BakeFileError, match="include cycle"):
        read(tmp_path, "include: [a.yaml]\n")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("services:\n  web: {build: .}\n", True),
        ("services:\n  web: {build: {foo: 1}}\n", False),
        ('target "a" {}', False),
        ('{"target": {}}', False),
        ("", False),
    ],
)
def test_a_text_without_a_telling_name_is_tried(tmp_path: Path, text: str, answer: bool) -> None:
    """Only a valid compose file counts as one."""
    assert is_compose(text, ComposeWorld(tmp_path, {}, {})) is answer


@pytest.mark.parametrize(("size", "text"), [(1000, "1000B"), (2**27, "128MiB"), (3 * 2**29, "1.5GiB"), (1023, "1023B")])
def test_sizes_are_shown_in_binary_units(size: int, text: str) -> None:
    """As docker shows them."""
    assert binary_size(size) == text
