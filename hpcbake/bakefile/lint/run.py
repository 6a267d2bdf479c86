"""One lint run: the plan's targets with their Dockerfiles, all rules over them, ignore comments applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.dockerfile import DOCKERFILE, Dockerfile, parse_dockerfile
from hpcbake.bakefile.inherit import parents_of
from hpcbake.bakefile.lint.case import BaseCatalogue, LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit, LintFinding
from hpcbake.bakefile.lint.ignores import apply_ignores, find_ignores
from hpcbake.bakefile.lint.registry import RULES
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.rules import ignore_comment
from hpcbake.bakefile.model import BakeModel
from hpcbake.bakefile.places import CWD, is_remote_url
from hpcbake.bakefile.render import unescape_template
from hpcbake.bakefile.resolve import ReadFiles
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.model.late import dataclass
from hpcbake.model.plan import Plan, Target
from hpcbake.model.verdict import Severity

LARGEST_DOCKERFILE_BYTES = 2 * 2**20


@dataclass(frozen=True)
class LintReport:
    """What a lint run found, what somebody decided to accept, and what it looked at."""

    findings: tuple[LintFinding, ...]
    silenced: tuple[LintFinding, ...]
    targets: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def has_errors(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def lint(
    read: ReadFiles, plan: Plan, *, folder: Path, today: date, catalogue: BaseCatalogue | None = None
) -> LintReport:
    """Look at `plan` and at the Dockerfiles below `folder` that it names.

    With a `catalogue`, base images are looked up; it may raise RegistryError.
    """
    targets = tuple(_target_case(target, read, folder) for _, target in sorted(plan.targets.items()))
    case = LintCase(plan, read.model, targets, folder, today, catalogue)
    found = [*_of_diagnostics(read.warnings), *(f for rule in RULES for f in _run(rule, case))]
    sources = _sources(read, targets)
    ignores = [ignore for source in sources for ignore in find_ignores(source)]
    target_lines = {(t.span.path, t.span.line): t.name for t in targets if t.span is not None}
    parted = apply_ignores(_unique(found), ignores, target_lines)
    known = [name for rule in RULES for name in (rule.code, rule.name)]
    odd = ignore_comment.findings_of(ignores, parted.unused, [*known, *(f.code for f in found)])
    comments = [_finding(ignore_comment.RULE, hit) for hit in odd]
    return LintReport(
        tuple(sorted([*parted.findings, *comments], key=_place)),
        parted.silenced,
        tuple(target.name for target in targets),
        tuple(source.name for source in sources),
    )


def _run(rule: Rule, case: LintCase) -> Iterator[LintFinding]:
    for hit in rule.find(case):
        yield _finding(rule, hit)


def _finding(rule: Rule, hit: Hit) -> LintFinding:
    return LintFinding(rule.code, rule.name, rule.severity, hit.message, hit.help, hit.span, hit.target)


def _of_diagnostics(diagnostics: Iterable[Diagnostic]) -> Iterator[LintFinding]:
    """The warnings that reading the bake files gave, as findings under their own codes."""
    for diagnostic in diagnostics:
        yield LintFinding(
            diagnostic.code, "bake-file", Severity.WARNING, diagnostic.message, diagnostic.help, diagnostic.span
        )


def _unique(findings: Iterable[LintFinding]) -> list[LintFinding]:
    """One finding per rule, place and sentence: many targets share one Dockerfile, and what they inherit."""
    by_identity: dict[tuple[str, str, int, str], LintFinding] = {}
    for finding in findings:
        start = finding.span.start if finding.span else -1
        sentence = finding.message.replace(f"target {finding.target}", "target") if finding.target else finding.message
        by_identity.setdefault((finding.code, finding.path, start, sentence), finding)
    return list(by_identity.values())


def _place(finding: LintFinding) -> tuple[str, int, int, str]:
    return finding.path, finding.line, finding.column, finding.code


def _sources(read: ReadFiles, targets: Sequence[TargetCase]) -> list[SourceFile]:
    dockerfiles = [target.dockerfile.source for target in targets if target.dockerfile is not None]
    return list({source.name: source for source in [*read.files, *dockerfiles]}.values())


def _target_case(target: Target, read: ReadFiles, folder: Path) -> TargetCase:
    merged = read.model.targets.get(target.name)
    dockerfile, missing = read_dockerfile(target, folder)
    return TargetCase(
        target,
        effective_spans(read.model, target.name),
        merged.span if merged else None,
        folder,
        dockerfile,
        missing,
    )


def effective_spans(model: BakeModel, name: str) -> dict[str, Span]:
    """Where each attribute of a target was written: in itself, else in the parent that it comes from."""
    spans: dict[str, Span] = {}
    waiting, seen = [name], {name}
    while waiting:
        merged = model.targets.get(waiting.pop(0))
        if merged is None:
            continue
        spans = {**merged.spans, **spans}
        parents = [parent for parent in reversed(parents_of(merged)) if parent not in seen]
        seen.update(parents)
        waiting += parents
    return spans


def read_dockerfile(target: Target, folder: Path) -> tuple[Dockerfile | None, str]:
    """The Dockerfile of `target`, or why there is none; both empty when it is not a local file."""
    inline = target.attributes.get("dockerfile-inline")
    if isinstance(inline, str) and inline:
        name = f"dockerfile-inline of target {target.name}"
        return parse_dockerfile(SourceFile(name, unescape_template(inline), DOCKERFILE)), ""
    path = dockerfile_path(target)
    if path is None:
        return None, ""
    try:
        content = (folder / path).read_bytes()[: LARGEST_DOCKERFILE_BYTES + 1]
        if len(content) > LARGEST_DOCKERFILE_BYTES:
            return None, f"{path} is larger than {LARGEST_DOCKERFILE_BYTES // 2**20} MiB"
        return parse_dockerfile(SourceFile(path, content.decode("utf-8", "replace"), DOCKERFILE)), ""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return None, f"{path} cannot be read: {reason}"


def dockerfile_path(target: Target) -> str | None:
    """Where the Dockerfile of `target` lies, or None when it is not on this machine."""
    dockerfile, context = target.dockerfile, target.context
    if dockerfile.startswith(CWD):
        return dockerfile.removeprefix(CWD)
    if is_remote_url(context) or is_remote_url(dockerfile) or "://" in context or context.startswith("target:"):
        return None
    return dockerfile if dockerfile.startswith("/") or context == "." else f"{context}/{dockerfile}"
