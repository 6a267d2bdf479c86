"""Which tags of the registry move at the end of a run: the project's policy over what sites have promoted. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.late import dataclass
from hpcbake.model.reference import ImageReference
from hpcbake.report.records import ImageRecord, Outcome
from hpcbake.ship.project_parts import TagPolicy

_GOOD = (Outcome.OK, Outcome.UNCHANGED)
#: A tag as registries take it.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class TagWords:
    """What the placeholders of a tag template stand for in this run; `created` is its UTC time."""

    created: str
    run: str
    revision: str


def tags_to_move(
    image: BuiltImage, at_sites: Sequence[ImageRecord], policy: TagPolicy, words: TagWords
) -> tuple[ImageReference, ...]:
    """The tags that are to name this digest now. `at_sites` is the image at every site that it went to.

    Further tags (`add`) are for a digest that users were given in this run: an unchanged night adds none.
    """
    good = [record for record in at_sites if record.outcome in _GOOD]
    enough = bool(good) if policy.move == "any-site" else bool(at_sites) and len(good) == len(at_sites)
    if policy.move == "never" or not enough:
        return ()
    moving = [tag for tag in image.release_tags if not policy.only or _fits(tag.tag or "", policy.only)]
    if any(record.changed for record in good):
        moving += [added for template in policy.add for added in _added(template, image, words)]
    return tuple(dict.fromkeys(moving))


def _fits(tag: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tag, pattern) for pattern in patterns)


def _added(template: str, image: BuiltImage, words: TagWords) -> list[ImageReference]:
    """A template's tag in every repository of the image; none where a placeholder has nothing to stand for."""
    found = []
    for tag in image.release_tags:
        values = {
            "date": words.created[:10],
            "digest": image.digest.short,
            "run": words.run,
            "revision": words.revision[:12],
            "tag": tag.tag or "",
        }
        if all(values[name] for name in re.findall(r"\{(\w+)\}", template)):
            text = re.sub(r"\{(\w+)\}", lambda match, values=values: values[match[1]], template)  # type: ignore[misc]
            found += [tag.with_tag(text)] if _TAG.fullmatch(text) else []
    return found
