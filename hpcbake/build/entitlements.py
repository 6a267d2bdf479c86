"""What a build asks for beyond its own folder and a closed sandbox, derived from the plan; only paths are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hpcbake.build.document import Shipment
from hpcbake.model.late import dataclass
from hpcbake.model.plan import JsonValue, Plan, Target

#: What each entitlement lets a build do, in words for the person who grants it.
_MEANS = {
    "network.host": "its steps use the network of the build machine",
    "security.insecure": "its steps run without a sandbox, as root of the build machine",
    "ssh": "its steps use your SSH agent",
}


@dataclass(frozen=True)
class Need:
    """One entitlement, as `--allow` takes it, the target that wants it and what it means."""

    grant: str
    target: str
    why: str


def needed_entitlements(plan: Plan, shipments: Sequence[Shipment], folder: Path) -> list[Need]:
    """Everything that building these needs to be granted, each once; helper targets that they are built from count."""
    needs: dict[str, Need] = {}
    for name in _built(plan, shipments):
        for need in _needs_of(plan.targets[name], folder.resolve()):
            needs.setdefault(need.grant, need)
    return list(needs.values())


def missing_entitlements(needs: Sequence[Need], allowed: Sequence[str]) -> list[Need]:
    """Those that nobody granted yet. A grant of a folder covers what is in it."""
    return [need for need in needs if not any(_covers(grant, need.grant) for grant in allowed)]


def _built(plan: Plan, shipments: Sequence[Shipment]) -> Iterator[str]:
    """The targets that are built: those that ship, and what they take by `target:`."""
    todo, seen = [shipment.name for shipment in shipments], set[str]()
    while todo:
        name = todo.pop(0)
        if name in seen or name not in plan.targets:
            continue
        seen.add(name)
        yield name
        contexts = plan.targets[name].attributes.get("contexts")
        linked = [text for text in contexts.values() if isinstance(text, str)] if isinstance(contexts, dict) else []
        todo += [text.removeprefix("target:") for text in linked if text.startswith("target:")]


def _needs_of(target: Target, folder: Path) -> Iterator[Need]:
    attributes = target.attributes
    asked = [text for text in _list(attributes.get("entitlements")) if isinstance(text, str)]
    if attributes.get("network") == "host":
        asked.append("network.host")
    if attributes.get("ssh"):
        asked.append("ssh")
    for grant in asked:
        yield Need(grant, target.name, _MEANS.get(grant, "see `docker buildx bake --help`"))
    for path, what in _reads(attributes):
        outside = _outside(path, folder)
        if outside:
            yield Need(f"fs.read={outside}", target.name, f"it reads {what} outside this folder")
    for path, what in _writes(attributes):
        outside = _outside(path, folder)
        if outside:
            yield Need(f"fs.write={outside}", target.name, f"it writes {what} outside this folder")


def _reads(attributes: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    context = attributes.get("context")
    if isinstance(context, str) and _is_local(context):
        yield context, "its context"
    dockerfile = attributes.get("dockerfile")
    if isinstance(dockerfile, str) and _is_local(dockerfile) and isinstance(context, str) and _is_local(context):
        yield str(Path(context) / dockerfile), "its Dockerfile"
    contexts = attributes.get("contexts")
    for name, text in (contexts if isinstance(contexts, dict) else {}).items():
        if isinstance(text, str) and _is_local(text):
            yield text.removeprefix("oci-layout://").partition("@")[0], f"its context {name!r}"
    for entry in _fields(attributes.get("secret")):
        path = entry.get("src") or entry.get("source")
        if path and entry.get("type") != "env":
            yield path, f"the secret {entry.get('id', '')!r}"
    for entry in _fields(attributes.get("cache-from")):
        if entry.get("type") == "local" and entry.get("src"):
            yield entry["src"], "a cache"


def _writes(attributes: Mapping[str, JsonValue]) -> Iterator[tuple[str, str]]:
    for entry in _fields(attributes.get("cache-to")):
        if entry.get("type") == "local" and entry.get("dest"):
            yield entry["dest"], "a cache"


def _fields(value: JsonValue) -> Iterator[dict[str, str]]:
    """Each entry of a list attribute, whether written as `key=value,…` or as an object."""
    for item in _list(value):
        if isinstance(item, dict):
            yield {str(key): str(entry) for key, entry in item.items()}
        elif isinstance(item, str):
            pairs = (part.partition("=") for part in item.split(","))
            yield {key.strip(): text for key, equals, text in pairs if equals}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _is_local(text: str) -> bool:
    """A path of this machine, and no URL, image, Git address or other target."""
    if text.startswith("oci-layout://"):
        return True
    return bool(text) and "://" not in text and not text.startswith(("target:", "docker-image:", "git@", "github.com/"))


def _outside(path: str, folder: Path) -> str:
    """The path with every link followed, if it is not in the folder; else nothing."""
    resolved = (folder / Path(path).expanduser()).resolve()
    return "" if resolved == folder or folder in resolved.parents else str(resolved)


def _covers(grant: str, wanted: str) -> bool:
    """Does what was granted include what is wanted? `fs` is reading and writing, `*` every path."""
    if grant == wanted:
        return True
    kind, _, place = grant.partition("=")
    wanted_kind, _, path = wanted.partition("=")
    if not place or kind not in (wanted_kind, wanted_kind.partition(".")[0]):
        return False
    given = Path(place).expanduser().resolve()
    return place == "*" or given == Path(path) or given in Path(path).parents
