"""What the programs of others print, and what it means: one table, one matcher.

Text explains here. Whether something succeeded is told by exit codes, digests and result files, never by this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from hpcbake.catalogue.causes.build import BUILD
from hpcbake.catalogue.causes.cause import Cause
from hpcbake.catalogue.causes.inside import EXEC
from hpcbake.catalogue.causes.pull import PULL
from hpcbake.catalogue.causes.slurm import SLURM
from hpcbake.catalogue.causes.ssh import SSH

__all__ = ["CAUSES", "Cause", "find_cause", "find_causes", "find_line_cause"]

#: who prints it → its causes in the order in which they are tried: the first that matches counts.
CAUSES: Mapping[str, tuple[Cause, ...]] = {"ssh": SSH, "slurm": SLURM, "build": BUILD, "pull": PULL, "exec": EXEC}

#: How a line shows who printed it; the first that fits, with the speakers to try then.
_SPEAKERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"^#\d+ \d+\.\d+ ", ("exec",)),  # what a build step printed
    (
        r"\b(?:sbatch|srun|squeue|sacct|scancel|sinfo|salloc|scontrol|slurmstepd\S*|slurm_load_\w+):? ",
        ("slurm", "exec"),
    ),
    (
        r"^(?:ssh(?:_config)?:|kex_|client_loop|channel \d|Connection (?:to|closed|timed|reset)|[Hh]ost key|"
        r"\S+@\S+: Permission)",
        ("ssh",),
    ),
    (r"^#\d+ |^ERROR: |failed to solve|^docker: |Docker daemon", ("build",)),
    (r"^(?:FATAL|ERROR|WARNING|INFO|DEBUG):\s", ("exec", "pull")),
)
#: Words that many programs use: they tell nothing when it is not known who speaks.
_TOO_GENERAL = frozenset({"build-context", "build-base", "pull-permission"})


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.MULTILINE)


def find_cause(text: str, speaker: str) -> Cause | None:
    """The first cause of this speaker (`ssh`, `slurm`, `build`, `pull`, `exec`) that the text tells of."""
    return _first(text, CAUSES[speaker])


def find_causes(text: str, speaker: str) -> tuple[Cause, ...]:
    """All causes of this speaker that the text tells of, in the table's order."""
    return tuple(cause for cause in CAUSES[speaker] if _pattern(cause.pattern).search(text))


def find_line_cause(line: str) -> Cause | None:
    """The cause that one line of an unknown log tells of: the one who seems to speak is tried first."""
    text = re.sub(r"^\s*\|\s?", "", line).strip()
    for pattern, speakers in _SPEAKERS:
        if _pattern(pattern).search(text):
            return _first(text, (cause for speaker in speakers for cause in CAUSES[speaker]))
    known = (cause for causes in CAUSES.values() for cause in causes)
    return _first(text, (cause for cause in known if cause.name not in _TOO_GENERAL))


def _first(text: str, causes: Iterable[Cause]) -> Cause | None:
    return next((cause for cause in causes if _pattern(cause.pattern).search(text)), None)
