"""`contexts = { x = "target:NAME" }`: targets that another target builds on.

A linked target that was not asked for joins the plan with `output = cacheonly`; its entitlements pass to the target
that uses it. The walk is iterative and visits each target once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from hpcbake.bakefile import resolution_codes as codes
from hpcbake.bakefile.attributes import Attributes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.model.plan import JsonValue

_PREFIX = "target:"


def link_targets(
    model: BakeModel, requested: Mapping[str, Attributes], resolve: Callable[[str], Attributes]
) -> dict[str, Attributes]:
    """`requested` and every target that it links to, directly or not.

    Raises BakeFileError for a link to itself, to nothing, in a circle, or across platforms that do not fit.
    """
    plan = dict(requested)
    done: set[str] = set()
    for name in sorted(requested):
        _link_from(name, model, plan, done, resolve)
    return plan


def _link_from(
    start: str, model: BakeModel, plan: dict[str, Attributes], done: set[str], resolve: Callable[[str], Attributes]
) -> None:
    if start in done:
        return
    open_path = [start]
    stack: list[tuple[str, Iterator[str]]] = [(start, iter(linked_names(plan[start])))]
    while stack:
        name, links = stack[-1]
        link = next(links, None)
        if link is None:
            stack.pop()
            open_path.pop()
            done.add(name)
            _take_from_links(model, name, plan)
            continue
        if link == name:
            raise _failure(model, name, codes.LINK_TO_ITSELF, f"target {name} cannot link to itself")
        if link in open_path:
            raise _failure(model, name, codes.CIRCULAR_LINKS, f"infinite loop from {name} to {link}")
        if link in done:
            continue
        if link not in plan:
            plan[link] = {**_resolve_link(model, name, link, resolve), "output": [{"type": "cacheonly"}]}
        open_path.append(link)
        stack.append((link, iter(linked_names(plan[link]))))


def linked_names(attributes: Attributes) -> list[str]:
    """The targets that `contexts` names, in the order of the context names."""
    contexts = cast(Mapping[str, str], attributes.get("contexts") or {})
    return [place.removeprefix(_PREFIX) for _, place in sorted(contexts.items()) if place.startswith(_PREFIX)]


def _resolve_link(model: BakeModel, user: str, link: str, resolve: Callable[[str], Attributes]) -> Attributes:
    if link not in model.targets:
        help_line = (
            f"{link} is a group; a context takes one target"
            if link in model.groups
            else did_you_mean(link, model.targets, what="target")
        )
        raise _failure(
            model, user, codes.UNKNOWN_LINK, f"target {user} links to {link}, which is not a target", help_line
        )
    return resolve(link)


def _take_from_links(model: BakeModel, name: str, plan: dict[str, Attributes]) -> None:
    """Take over the entitlements of what `name` links to, and compare platforms."""
    target = plan[name]
    entitlements = list(cast(list[str], target.get("entitlements") or []))
    own = cast(list[str], target.get("platforms") or [])
    for link in linked_names(target):
        linked = plan[link]
        for entitlement in cast(list[str], linked.get("entitlements") or []):
            if entitlement not in entitlements:
                entitlements.append(entitlement)
        theirs = cast(list[str], linked.get("platforms") or [])
        if len(own) > 1 and len(theirs) > 1 and not set(own) <= set(theirs):
            raise _failure(
                model,
                name,
                codes.LINK_PLATFORMS,
                f"target {link} can't be used by {name} because its platforms [{' '.join(own)}] "
                f"are not a subset of [{' '.join(theirs)}]",
                f"add {', '.join(sorted(set(own) - set(theirs)))} to the platforms of {link}",
            )
    if entitlements:
        plan[name] = {**target, "entitlements": cast(JsonValue, entitlements)}


def _failure(model: BakeModel, name: str, code: str, message: str, help_line: str = "") -> BakeFileError:
    target = model.targets.get(name)
    span = target.span_of("contexts") if target else None
    return BakeFileError(Diagnostic(code, message, span, help_line or "remove one of the links", detail=message))
