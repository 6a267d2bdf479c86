"""Whether the config files of a project agree: what one of them names, another one has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import yaml

from hpcbake.bakefile.suggestion import did_you_mean
from hpcbake.model.late import dataclass
from hpcbake.model.verdict import Severity
from hpcbake.smoke.job import TEMPLATES
from hpcbake.validation.files import Kind
from hpcbake.validation.place import place_of, scalars_at
from hpcbake.validation.problem import Problem, problem_at
from hpcbake.validation.single import Looked

#: Where targets and sites are named, as paths of keys.
_TARGETS = tuple((key, "*", "targets", "*") for key in ("smoke", "expose", "deploy", "builders"))
_ALL_TARGETS = (*_TARGETS, ("nightly", "targets", "*"))
_ASKED_TARGETS = (("bake", "targets", "*"),)
_PROJECT_SITES = (("smoke", "*", "sites", "*"), ("deploy", "*", "sites", "*"), ("nightly", "sites", "*"))
_POLICY_SITES = (("severities", "*", "site"), ("accept", "*", "site"))


@dataclass(frozen=True)
class Names:
    """What there is to name. None: could not be found out, so nothing is said about it."""

    targets: Iterable[str] | None
    sites: Iterable[str] | None
    targets_and_groups: Iterable[str] | None = None
    own_templates: Sequence[str] = ()
    tests: Iterable[str] | None = None


def find_disagreements(files: Sequence[Looked], names: Names) -> Iterator[Problem]:
    """Every name that nothing bears, at its place."""
    for looked in files:
        if looked.file.kind is Kind.PROJECT:
            yield from _check(looked, _ALL_TARGETS, names.targets, "target")
            yield from _check(looked, _ASKED_TARGETS, names.targets_and_groups, "target")
            yield from _check(looked, _PROJECT_SITES, names.sites, "site")
            templates = [*TEMPLATES, *names.own_templates]
            yield from _check(looked, (("smoke", "*", "template"),), templates, "template")
        elif looked.file.kind is Kind.POLICY:
            yield from _check(looked, _POLICY_SITES, names.sites, "site")
        elif looked.file.kind is Kind.SITE:
            # Site configs are shared among projects, whose tests have other names.
            wrong = _check(looked, (("slurm", "tests", "*"),), names.tests, "smoke test", Severity.WARNING)
            yield from wrong


def test_names(project: Looked | None) -> list[str]:
    """The smoke tests of a project; `cpu` is what targets get for which it names none."""
    found = scalars_at(project.node if project else None, "smoke", "*", "name")
    return ["cpu", *(scalar.value for scalar in found)]


def _check(
    looked: Looked,
    paths: Sequence[Sequence[str]],
    known: Iterable[str] | None,
    what: str,
    severity: Severity = Severity.ERROR,
) -> Iterator[Problem]:
    if known is None:
        return
    words = sorted(known)
    for keys in paths:
        for scalar in scalars_at(looked.node, *keys):
            yield from _check_one(looked, scalar, words, what, severity)


def _check_one(
    looked: Looked, scalar: yaml.ScalarNode, words: Sequence[str], what: str, severity: Severity
) -> Iterator[Problem]:
    name = scalar.value
    if name in words or any(fnmatchcase(word, name) for word in words):
        return
    line, column = place_of(scalar)
    column += scalar.style in ("'", '"')
    if set(name) & set("*?["):
        message = f"no {what} fits the pattern {name!r}"
        yield problem_at(looked.source, line, column, message, _listed(words, what), Severity.WARNING)
    else:
        help_text = did_you_mean(name, words, what=what)
        yield problem_at(looked.source, line, column, f"there is no {what} {name!r}", help_text, severity)


def _listed(words: Sequence[str], what: str) -> str:
    return did_you_mean("", words, what=what)
