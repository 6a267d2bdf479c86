"""HB-LINT-023: a cache entry that BuildKit will not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.suggestion import nearest
from hpcbake.model.verdict import Severity

#: type → what an entry of cache-from, and one of cache-to, must have. None: there is no such entry.
_NEEDS: Mapping[str, tuple[tuple[str, ...] | None, tuple[str, ...] | None]] = {
    "registry": (("ref",), ("ref",)),
    "inline": (None, ()),
    "local": (("src",), ("dest",)),
    "gha": ((), ()),
    "s3": (("bucket", "region"), ("bucket", "region")),
    "azblob": (("name", "account_url"), ("name", "account_url")),
}
#: What the environment of the build may hold instead.
_FROM_ENVIRONMENT = {
    "region": "AWS_REGION",
    "bucket": "AWS_BUCKET",
    "account_url": "BUILDKIT_AZURE_STORAGE_ACCOUNT_URL",
    "name": "BUILDKIT_AZURE_STORAGE_CONTAINER",
}
_MODES = ("min", "max")


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        for side, key in enumerate(("cache-from", "cache-to")):
            entries = target.target.attributes.get(key)
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict):
                    texts = {name: str(value) for name, value in entry.items()}
                    for message, way_out in _complaints(key, side, texts):
                        yield Hit(target.span_of(key), f"target {target.name}: {message}", way_out, target.name)


def _complaints(key: str, side: int, entry: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    kind = entry.get("type", "")
    if kind not in _NEEDS:
        near = nearest(kind, _NEEDS)
        yield (
            f"{key} has no type {kind}",
            f"did you mean {near}?" if near else f"write one of {', '.join(_NEEDS)}",
        )
        return
    needs = _NEEDS[kind][side]
    if needs is None:
        yield (
            "an inline cache lies in the image itself and cannot be named by type=inline in cache-from",
            "write type=registry,ref= with the image's tag",
        )
        return
    for name in needs:
        if not entry.get(name):
            variable = _FROM_ENVIRONMENT.get(name)
            yield (
                f"{key} of type {kind} has no {name}",
                f"add {name}=…" + (f", or set {variable} where it is built" if variable else ""),
            )
    mode = entry.get("mode")
    if key == "cache-to" and mode and mode not in _MODES:
        yield f"cache-to has the mode {mode}", "write mode=max (all stages) or mode=min (the image's own layers)"
    if kind == "inline" and mode == "max":
        yield (
            "an inline cache holds the image's own layers only: mode=max has no effect",
            "write type=registry,mode=max",
        )


RULE = Rule(
    code="HB-LINT-023",
    name="cache-entry",
    severity=Severity.WARNING,
    title="a cache entry that BuildKit will not take",
    why="Entries are read when the build begins, or at its end: the build fails, or goes without its cache.",
    mend="`type=registry,ref=REGISTRY/IMAGE:cache,mode=max` works with every builder that is not docker's own.",
    find=_find,
)
