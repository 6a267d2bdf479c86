"""What an image is built from, as facts that can be compared from night to night. Values are sums, never contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from hpcbake.bakefile.lint.case import TargetCase, find_reference, from_names
from hpcbake.bakefile.lint.run import dockerfile_path, read_dockerfile
from hpcbake.bakefile.places import CWD, is_remote_url
from hpcbake.build.context import read_ignores, sum_up_context
from hpcbake.build.document import SITE_PLATFORM, is_site_platform
from hpcbake.errors import HpcbakeError
from hpcbake.model.late import dataclass
from hpcbake.model.plan import JsonValue, Plan, Target
from hpcbake.model.reference import Digest, ImageReference

#: What a target says that does not change what is in its image: names, places, caches, and secrets' whereabouts.
_NO_PART_OF_THE_IMAGE = frozenset(
    {
        *(
            "tags",
            "output",
            "cache-from",
            "cache-to",
            "description",
            "platforms",
            "no-cache",
            "no-cache-filter",
            "pull",
        ),
        *("secret", "ssh", "call", "context", "contexts", "dockerfile", "dockerfile-inline", "args", "labels"),
    }
)
_IMAGE_CONTEXT = "docker-image://"
_TARGET_CONTEXT = "target:"
_MOST_NAMES = 5

#: The digest that a reference stands for now, None when there is no such image. Raises HpcbakeError.
FindDigest = Callable[[ImageReference], Digest | None]


@dataclass(frozen=True, order=True)
class Fact:
    """One thing that an image rests on: `setting`, `dockerfile`, `file` or `base`; whose, and its name."""

    kind: str
    owner: str
    name: str


@dataclass(frozen=True)
class Fingerprint:
    """All facts of one image. `unknowable` says what only the builder can tell; `doubts` what nobody told tonight."""

    facts: Mapping[Fact, str]
    unknowable: tuple[str, ...] = ()
    doubts: tuple[str, ...] = field(default=(), compare=False)


class FingerprintReader:
    """Takes fingerprints of targets of one plan. Base images are asked for once, however many targets rest on them."""

    def __init__(self, plan: Plan, folder: Path, find_digest: FindDigest) -> None:
        self._plan = plan
        self._folder = folder
        self._find_digest = find_digest
        self._bases: dict[str, Digest | HpcbakeError | None] = {}

    def read(self, name: str, known: Fingerprint | None = None) -> Fingerprint:
        """The fingerprint of a target and of those that it is built on.

        A base image that no registry tells of tonight keeps the digest of `known`. Raises ConfigError for what cannot
        be read.
        """
        facts: dict[Fact, str] = {}
        unknowable: list[str] = []
        doubts: list[str] = []
        waiting, seen = [name], {name}
        while waiting:
            target = self._plan.targets[waiting.pop()]
            case = TargetCase(target, {}, None, self._folder, *read_dockerfile(target, self._folder))
            facts.update(_settings(target))
            facts.update(self._files(case, unknowable))
            facts.update(self._base_facts(case, known, doubts))
            linked = [place.removeprefix(_TARGET_CONTEXT) for place in _places(target).values()]
            fresh = [link for link in linked if link in self._plan.targets and link not in seen]
            seen.update(fresh)
            waiting += fresh
        return Fingerprint(facts, tuple(dict.fromkeys(unknowable)), tuple(dict.fromkeys(doubts)))

    def _files(self, case: TargetCase, unknowable: list[str]) -> dict[Fact, str]:
        """Dockerfile and contexts."""
        target = case.target
        facts: dict[Fact, str] = {}
        if case.dockerfile is not None:
            text = case.dockerfile.source.text
            facts[Fact("dockerfile", target.name, case.dockerfile.source.name)] = _sum(text)
        elif case.missing:
            facts[Fact("dockerfile", target.name, case.missing)] = ""
        for name, place in _places(target).items():
            if is_remote_url(place):
                unknowable.append(f"its context {place} is fetched by the builder")
                facts[Fact("setting", target.name, f"context {name}")] = _sum(place)
            elif "://" not in place.replace(CWD, "") and not place.startswith(_TARGET_CONTEXT):
                folder = self._folder / place.removeprefix(CWD)
                own = dockerfile_path(target) if name == "context" else None
                ignores = read_ignores(folder, self._folder / own if own else None)
                for file, entry in sum_up_context(folder, ignores).items():
                    facts[Fact("file", target.name, file if place == "." else f"{place}/{file}")] = entry
            elif place.startswith("oci-layout://"):
                layout = self._folder / place.removeprefix("oci-layout://").partition("@")[0].rpartition(":")[0]
                unknowable += [] if layout.is_dir() else [f"its context {place} is read by the builder"]
                facts[Fact("file", target.name, place)] = _sum_of_file(layout / "index.json")
        if target.dockerfile and case.dockerfile is None and not case.missing and is_remote_url(target.dockerfile):
            unknowable.append(f"its Dockerfile {target.dockerfile} is fetched by the builder")
        return facts

    def _base_facts(self, case: TargetCase, known: Fingerprint | None, doubts: list[str]) -> dict[Fact, str]:
        facts: dict[Fact, str] = {}
        for text in _base_images(case):
            reference = find_reference(text)
            if reference is None:
                continue
            if reference.digest is None and reference.tag is None:
                reference = reference.with_tag("latest")
            fact = Fact("base", case.name, text)
            found = reference.digest or self._ask(reference)
            if isinstance(found, HpcbakeError) or found is None:
                why = found.message if isinstance(found, HpcbakeError) else "the registry has no such image"
                before = known.facts.get(fact, "") if known else ""
                taken = "last night's digest counts" if before else "it is not known which one was used"
                doubts.append(f"base {text}: {why}; {taken}")
                facts[fact] = before
            else:
                facts[fact] = str(found)
        return facts

    def _ask(self, reference: ImageReference) -> Digest | HpcbakeError | None:
        text = str(reference)
        if text not in self._bases:
            try:
                self._bases[text] = self._find_digest(reference)
            except HpcbakeError as error:
                self._bases[text] = error
        return self._bases[text]


def compare(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Why an image must be built again, in sentences; empty when nothing has changed."""
    old, new = before.facts, now.facts
    changed = sorted(fact for fact in {*old, *new} if old.get(fact) != new.get(fact))
    reasons = [_base_reason(fact, old.get(fact), new.get(fact)) for fact in changed if fact.kind == "base"]
    reasons += [f"{fact.name} changed" for fact in changed if fact.kind == "dockerfile"]
    settings = [fact.name for fact in changed if fact.kind == "setting"]
    if settings:
        reasons.append(f"the bake file changed: {_some(settings)}")
    files = list(dict.fromkeys(fact.name for fact in changed if fact.kind == "file"))
    if files:
        reasons.append(f"{len(files)} file{'s' if len(files) > 1 else ''} in context changed: {_some(files)}")
    return [*reasons, *now.unknowable]


def render_fingerprint(fingerprint: Fingerprint) -> list[list[str]]:
    """The facts as JSON takes them."""
    return [[fact.kind, fact.owner, fact.name, value] for fact, value in sorted(fingerprint.facts.items())]


def parse_fingerprint(document: object) -> Fingerprint | None:
    """What `render_fingerprint` gave; None for anything else."""
    if not isinstance(document, list):
        return None
    facts: dict[Fact, str] = {}
    for item in document:
        if not (isinstance(item, list) and len(item) == 4 and all(isinstance(part, str) for part in item)):
            return None
        facts[Fact(*item[:3])] = item[3]
    return Fingerprint(facts)


def _base_images(case: TargetCase) -> Iterable[str]:
    """Images of registries that the stages in use start, copy or mount from, and those that contexts name."""
    found: dict[str, None] = {}
    for stage in case.used_stages:
        if case.parent_of(stage) is None:
            found.update(dict.fromkeys([case.image_named(case.base_of(stage))]))
        for instruction in stage.instructions:
            for name in from_names(instruction):
                if case.dockerfile is not None and case.dockerfile.find_stage(name, stage.index) is None:
                    found.update(dict.fromkeys([case.image_named(name)]))
    places = _places(case.target).values()
    found.update((place.removeprefix(_IMAGE_CONTEXT), None) for place in places if place.startswith(_IMAGE_CONTEXT))
    return [text for text in found if text and "$" not in text]


def _settings(target: Target) -> dict[Fact, str]:
    """What the bake file says that ends up in the image, each by its sum: an argument may be a secret."""
    values: dict[str, JsonValue] = {
        key: value for key, value in target.attributes.items() if key not in _NO_PART_OF_THE_IMAGE
    }
    for group in ("args", "labels"):
        of_group = target.attributes.get(group)
        if isinstance(of_group, dict):
            values.update({f"{group}.{name}": value for name, value in of_group.items()})
    platform = next((p for p in target.platforms if is_site_platform(p)), SITE_PLATFORM)
    names = sorted({reference.name for tag in target.tags if (reference := find_reference(tag))})
    facts = {Fact("setting", target.name, name): _sum(value) for name, value in values.items()}
    facts[Fact("setting", target.name, "platform")] = platform
    facts[Fact("setting", target.name, "repositories")] = " ".join(names)
    return facts


def _places(target: Target) -> dict[str, str]:
    """Every context of a target by name; the main one is called `context`."""
    named = target.attributes.get("contexts")
    return {"context": target.context, **({k: str(v) for k, v in named.items()} if isinstance(named, dict) else {})}


def _base_reason(fact: Fact, before: str | None, now: str | None) -> str:
    if before and now:
        return f"base {fact.name} moved from {_short(before)} to {_short(now)}"
    return f"base {fact.name} is new" if now is not None else f"base {fact.name} is no longer used"


def _short(digest: str) -> str:
    return f"{digest[:19]}…"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _sum(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _sum_of_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError:
        return ""
