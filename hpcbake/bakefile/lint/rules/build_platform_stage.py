"""HB-LINT-020: compiled files from a stage that runs on the build machine's platform."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Stage
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.model.verdict import Severity

_CROSS = ("TARGETARCH", "TARGETPLATFORM", "GOARCH", "CARGO_BUILD_TARGET", "rustup target", "--host=", "xx-")
_COMPILES = (
    "pip ",
    "pip3 ",
    "gcc",
    "make",
    "cmake",
    "conda",
    "spack",
    "cargo",
    "uv ",
    "poetry",
    "npm ci",
    "npm install",
)


def _find(case: LintCase) -> Iterator[Hit]:
    for target in case.targets:
        for stage in target.final_chain:
            for instruction, source in target.sources_of(stage):
                native = next((s for s in target.chain_of(source) if "BUILDPLATFORM" in (s.platform or "")), None)
                if instruction.name == "COPY" and native is not None and _compiles(target.chain_of(source)):
                    yield Hit(
                        instruction.span,
                        f"stage {source.label} runs on the build machine's platform: on an Apple laptop its compiled "
                        "files are for arm64",
                        f"remove --platform=$BUILDPLATFORM from stage {native.label}, or compile for $TARGETARCH",
                        target.name,
                    )


def _compiles(chain: list[Stage]) -> bool:
    scripts = " ".join(i.script for stage in chain for i in stage.instructions)
    return any(word in scripts for word in _COMPILES) and not any(word in scripts for word in _CROSS)


RULE = Rule(
    code="HB-LINT-020",
    name="build-platform-stage",
    severity=Severity.WARNING,
    title="compiled files from a stage with --platform=$BUILDPLATFORM",
    why="Such a stage is fast because it is not emulated, and right for programs that compile for another platform. "
    "`pip install` in it gives extensions for the laptop, not for the cluster.",
    mend="Remove `--platform`, or compile for `$TARGETARCH`.",
    find=_find,
)
