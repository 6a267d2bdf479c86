"""HB-LINT-013: files put where a cluster's own folders cover them."""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile.dockerfile import Instruction
from hpcbake.bakefile.lint.case import LintCase
from hpcbake.bakefile.lint.finding import Hit
from hpcbake.bakefile.lint.rule import Rule
from hpcbake.bakefile.lint.walk import final_instructions
from hpcbake.model.verdict import Severity

_COVERED = {
    "/root": "users may not enter it",
    "/home": "the users' own home folders are mounted over it",
    "/tmp": "the node's own is mounted over it",  # noqa: S108
    "/var/tmp": "the node's own is mounted over it",  # noqa: S108
    "/dev": "the node's own is mounted over it",
    "/proc": "the node's own is mounted over it",
    "/sys": "the node's own is mounted over it",
}


def _find(case: LintCase) -> Iterator[Hit]:
    for target, _, instruction in final_instructions(case):
        place = _place_of(instruction)
        cover = next((c for c in sorted(_COVERED, reverse=True) if place == c or place.startswith(f"{c}/")), None)
        if cover is not None:
            yield Hit(
                instruction.span,
                f"what lies below {cover} cannot be used on a cluster: {_COVERED[cover]}",
                "put it below /opt or /usr/local",
                target.name,
            )


def _place_of(instruction: Instruction) -> str:
    words = instruction.words
    if instruction.name == "WORKDIR" and words:
        return words[0].rstrip("/")
    if instruction.name in ("COPY", "ADD") and len(words) > 1:
        return words[-1].rstrip("/")
    return ""


RULE = Rule(
    code="HB-LINT-013",
    name="hidden-path",
    severity=Severity.WARNING,
    title="files below /root, /home, /tmp or another covered folder",
    why="Apptainer mounts the user's home, /tmp, /dev and others from the node over the image's, and /root is closed "
    "to users: what the image has there is not seen.",
    mend="Install below /opt or /usr/local.",
    find=_find,
)
