"""Which tags of the registry move: by what sites have promoted, and by what the project wants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpcbake.model.reference import parse_image_reference
from hpcbake.report.records import ImageRecord, Outcome
from hpcbake.ship.project_parts import TagPolicy
from hpcbake.ship.tags import TagWords, tags_to_move
from tests.unit.ship.test_ship import Run, image

WORDS = TagWords("2026-01-31T02:00:00Z", "01RUN", "0123456789abcdef")
IMAGE = replace(
    image(),
    release_tags=tuple(parse_image_reference(f"registry.example.org/team/app:{tag}") for tag in ("1.0", "latest")),
)


def at(*outcomes: Outcome, changed: bool = True) -> list[ImageRecord]:
    return [ImageRecord("app", "", outcome, (), None, None, changed and outcome is Outcome.OK) for outcome in outcomes]


def tags(policy: TagPolicy, records: list[ImageRecord], words: TagWords = WORDS) -> list[str]:
    return [tag.tag or "" for tag in tags_to_move(IMAGE, records, policy, words)]


@pytest.mark.parametrize(
    ("move", "outcomes", "moves"),
    [
        ("every-site", (Outcome.OK, Outcome.UNCHANGED), True),
        ("every-site", (Outcome.OK, Outcome.FAILED), False),
        ("every-site", (Outcome.OK, Outcome.SUBMITTED), False),
        ("every-site", (), False),
        ("any-site", (Outcome.OK, Outcome.FAILED), True),
        ("any-site", (Outcome.FAILED, Outcome.BLOCKED), False),
        ("any-site", (), False),
        ("never", (Outcome.OK, Outcome.OK), False),
    ],
)
def test_tags_move_when_the_project_says(move: str, outcomes: tuple[Outcome, ...], moves: bool) -> None:
    """By default once every site has the digest."""
    assert bool(tags(TagPolicy(move), at(*outcomes))) is moves


def test_only_some_tags_may_move() -> None:
    """By pattern."""
    assert tags(TagPolicy(only=("1.*",)), at(Outcome.OK)) == ["1.0"]
    assert tags(TagPolicy(only=("9.*",)), at(Outcome.OK)) == []


def test_a_promoted_digest_gets_further_tags() -> None:
    """With what the placeholders stand for; each once."""
    policy = TagPolicy(only=("1.0",), add=("{tag}-{date}", "sha-{digest}", "{run}", "git-{revision}"))
    assert tags(policy, at(Outcome.OK, Outcome.FAILED)) == []
    found = tags(policy, at(Outcome.OK, Outcome.UNCHANGED))
    assert found == [
        *("1.0", "1.0-2026-01-31", "latest-2026-01-31"),
        *(f"sha-{IMAGE.digest.short}", "01RUN", "git-0123456789ab"),
    ]


def test_an_unchanged_night_adds_no_tag() -> None:
    """Or a registry would have one more every night."""
    assert tags(TagPolicy(add=("{run}",)), at(Outcome.UNCHANGED)) == ["1.0", "latest"]


def test_a_placeholder_without_a_value_makes_no_tag() -> None:
    """Nor does a text that no registry takes."""
    without = replace(WORDS, revision="")
    assert tags(TagPolicy(only=("1.0",), add=("git-{revision}", "x{revision}")), at(Outcome.OK), without) == ["1.0"]
    assert tags(TagPolicy(only=("1.0",), add=("-{date}", "{tag}" * 60)), at(Outcome.OK)) == ["1.0"]


def test_a_run_moves_what_the_policy_names(tmp_path: Path) -> None:
    """In the registry, and nothing else."""
    run = Run(tmp_path, "alder")
    run.tags = TagPolicy(add=("{tag}-{digest}",))
    result = run.ship()
    assert [target.tags_moved for target in result.targets] == [True]
    (built,) = run.images
    assert run.registry.moves == [
        "registry.example.org/team/app:1.0",
        f"registry.example.org/team/app:1.0-{built.digest.short}",
    ]
