"""The bake definition handed to BuildKit: the resolved plan, for linux/amd64, pushed by digest only. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.errors import ConfigError
from hpcbake.model.late import dataclass
from hpcbake.model.plan import JsonValue, Plan, Target
from hpcbake.model.reference import ImageReference, parse_image_reference

SITE_PLATFORM = "linux/amd64"


@dataclass(frozen=True)
class Shipment:
    """A target that ships: its release tags (never empty), its name in the store and the version users see."""

    target: Target
    tags: tuple[ImageReference, ...]

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def version(self) -> str:
        return self.tags[0].tag or "latest"

    @property
    def repositories(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag.name for tag in self.tags))


def find_shipments(plan: Plan) -> list[Shipment]:
    """The targets that were asked for, in order; linked helper targets are built but do not ship.

    Raises ConfigError for a target without a tag, or one that cannot be built for linux/amd64.
    """
    asked = _flatten(plan, "default") if "default" in plan.groups else list(plan.targets)
    return [_shipment(plan.targets[name]) for name in asked]


def _flatten(plan: Plan, group: str) -> list[str]:
    names: list[str] = []
    stack, seen = [group], set[str]()
    while stack:
        name = stack.pop()
        if name in plan.groups and name not in seen:
            seen.add(name)
            stack += reversed(plan.groups[name].targets)
        elif name in plan.targets and name not in names:
            names.append(name)
    return names


#: Folders of a store that are no image's.
RESERVED_NAMES = frozenset({"sif", "modules"})


def _shipment(target: Target) -> Shipment:
    if target.name in RESERVED_NAMES:
        raise ConfigError(
            f"target {target.name!r} cannot ship: the store has a folder of that name of its own",
            remedy="rename the target",
            kind="config.target",
        )
    if not target.tags:
        raise ConfigError(
            f"target {target.name!r} has no tag, so nobody knows which registry it goes to",
            remedy='give it one: tags = ["registry.example.org/team/image:1.0"]',
            kind="config.tag",
        )
    if target.platforms and not any(is_site_platform(platform) for platform in target.platforms):
        raise ConfigError(
            f"target {target.name!r} is built for {', '.join(target.platforms)} and sites run {SITE_PLATFORM}",
            remedy=f'add it: platforms = ["{SITE_PLATFORM}"]',
            kind="config.platform",
        )
    tags = tuple(parse_image_reference(tag) for tag in target.tags)
    return Shipment(target, tuple(tag if tag.tag else tag.with_tag("latest") for tag in tags))


def is_site_platform(platform: str) -> bool:
    """Does this platform run on the sites? `linux/amd64` and its levels (`linux/amd64/v2`)."""
    return platform == SITE_PLATFORM or platform.startswith(SITE_PLATFORM + "/")


def build_platform(target: Target) -> str:
    """The one platform that a target is built for."""
    return next((platform for platform in target.platforms if is_site_platform(platform)), SITE_PLATFORM)


#: The tag that a build pushes to where it cannot push without one. Nobody runs from it; each build moves it.
STAGING_TAG = "hpcbake-staging"


def build_document(plan: Plan, shipments: Sequence[Shipment], *, by_digest: bool) -> dict[str, JsonValue]:
    """The portable plan with every shipped target pushed by digest or to a staging tag.

    No tag that users see moves in a build.
    """
    from hpcbake.bakefile.render import portable_plan  # not above: verbs that build nothing load this module, too

    document = portable_plan(plan)
    targets = document["target"]
    assert isinstance(targets, dict)
    for shipment in shipments:
        entry = targets[shipment.name]
        assert isinstance(entry, dict)
        wanted = build_platform(shipment.target)
        names = ",".join(shipment.repositories)
        entry["platforms"] = [wanted]
        if by_digest:
            entry["tags"] = []
            entry["output"] = [f'type=image,"name={names}",push-by-digest=true,name-canonical=true,push=true']
        else:
            entry["tags"] = [f"{name}:{STAGING_TAG}-{shipment.name.lower()}" for name in shipment.repositories]
            entry["output"] = ["type=image,push=true"]
    for name, entry in targets.items():
        if isinstance(entry, dict) and name not in {shipment.name for shipment in shipments}:
            entry["platforms"] = [SITE_PLATFORM]
    return document
