"""HB-LINT-006: `COPY /path` where `COPY --from=stage /path` was meant."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Instruction, Stage
from hpcbake.bakefile.lint.case import LintCase, TargetCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import used_instructions
from hpcbake.model.verdict import Severity


def _find(case: LintCase) -> Iterator[Hit]:
    for target, stage, instruction in used_instructions(case):
        if instruction.name != "COPY" or stage.index == 0 or instruction.flag("from") is not None:
            continue
        for source in instruction.words[:-1]:
            if source.startswith("/") and not _is_in_context(target, source):
                maker = _maker_of(target, stage, source)
                name = maker.name or str(maker.index) if maker else "STAGE"
                yield Hit(
                    instruction.span,
                    f"COPY takes {source} from the build context, where it is not"
                    + (f"; stage {maker.label} may have it" if maker else ""),
                    f"write COPY --from={name} {source} …",
                    target.name,
                )


def _is_in_context(target: TargetCase, source: str) -> bool:
    context = target.folder / target.target.context
    if not source.strip("/"):
        return True
    try:
        return any(context.glob(source.lstrip("/")))
    except (ValueError, NotImplementedError):  # Docker's wildcards that Python does not have, such as `a**b`
        return True


def _maker_of(target: TargetCase, stage: Stage, source: str) -> Stage | None:
    """The last earlier stage that mentions `source`."""
    earlier = [s for s in target.stages[: stage.index] if any(_mentions(i, source) for i in s.instructions)]
    return earlier[-1] if earlier else (target.stages[stage.index - 1] if stage.index == 1 else None)


def _mentions(instruction: Instruction, source: str) -> bool:
    return source.rstrip("/") in instruction.script


RULE = Rule(
    code="HB-LINT-006",
    name="copy-without-from",
    severity=Severity.ERROR,
    title="COPY of an absolute path in a later stage, without --from",
    why="A path of COPY starts at the build context, also with a leading slash. What an earlier stage installed is "
    "only reached with `--from`; without it the build fails, or takes an old file of the same name from the context.",
    mend="`COPY --from=builder /install /usr/local`",
    find=_find,
)
