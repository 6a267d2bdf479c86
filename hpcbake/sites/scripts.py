"""Scripts that run on a site: values in front, quoted in one place, and answers read line by line.

The scripts themselves are files under `slurm/site/`: POSIX sh, checked by shellcheck as they stand. A value reaches
them as a variable assignment and is never part of the script's text.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache

from hpcbake.catalogue.causes import find_cause
from hpcbake.datafiles import data_folder
from hpcbake.errors import (
    BugError,
    BusyError,
    HpcbakeError,
    IntegrityError,
    PromoteError,
    SiteResourceError,
    SmokeUnknownError,
    StateError,
)
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Outcome
from hpcbake.model.script import SiteScript
from hpcbake.model.site import Store

#: class word of `fail` in a script → (exception, kind, remedy)
_FAILURES: dict[str, tuple[type[HpcbakeError], str, str]] = {
    "busy": (BusyError, "lock.held", "wait for the other run, or look at its host and process"),
    "changed": (BusyError, "state.changed", "another run promoted meanwhile; run the same command again"),
    "space": (SiteResourceError, "site.space", "make room there, or choose another `store.root`"),
    "permission": (SiteResourceError, "site.permission", "check owner and mode of the store's folders"),
    "runtime": (SiteResourceError, "site.runtime", "correct `runtime.program` and `runtime.prelude` of the site"),
    "integrity": (IntegrityError, "image.integrity", "run the same command again: the SIF is pulled anew"),
    "content": (IntegrityError, "image.content", "run the same command again: the SIF is converted anew"),
    "signature": (
        IntegrityError,
        "image.signature",
        "SIFs are signed where the build host converts: `convert.sign` in hpcbake.yaml, and the way oras or stream",
    ),
    "transfer": (IntegrityError, "image.transfer", "run the same command again: the SIF is sent anew"),
    "architecture": (IntegrityError, "image.architecture", "build for the architecture of the site"),
    "slurm-down": (SmokeUnknownError, "slurm.down", "run the same command again when Slurm answers"),
    "slurm-refused": (SiteResourceError, "slurm.refused", "correct the `slurm` section of the site config"),
    "ledger": (StateError, "state.ledger", "look who changed it: hpcbake status; nothing was done"),
    "promote": (PromoteError, "site.promote", "run the same command again; the old release is still active"),
    "gone": (SiteResourceError, "site.gone", "hpcbake status shows what is there"),
    "held": (BusyError, "lock.hold", "see hpcbake history; lift it: hpcbake rollback IMAGE --release-hold --site SITE"),
    "untested": (SmokeUnknownError, "slurm.untested", "run its smoke tests: hpcbake smoke"),
}

#: script → files of `slurm/site/` that go between the library and it
_PARTS: dict[str, tuple[str, ...]] = {
    "probe": ("registry",),
    "doctor": ("registry",),
    "promote": ("switch", "catalog"),
    "rollback": ("switch", "catalog"),
    "gc": ("queue", "used", "catalog"),
    "submit": ("queue",),
    "poll": ("queue",),
    "cancel": ("queue",),
    "collect": ("queue",),
}


@cache
def script_file(name: str) -> str:
    """One file of `slurm/site/`, as it stands."""
    return (data_folder("slurm") / "site" / f"{name}.sh").read_text(encoding="utf-8")


@cache
def script_body(name: str) -> str:
    """The text of script `name` with all that it needs in front, without any value."""
    return "\n".join(map(script_file, ("lib", *_PARTS.get(name, ()), name)))


def store_values(store: Store) -> dict[str, str]:
    """What every script that writes must know of the store: its root, and the group and mode of its folders."""
    return {"root": store.root, "store_group": store.group or "", "folder_mode": folder_mode(store)}


def folder_mode(store: Store) -> str:
    """The mode of folders: as the site says, or else open to the group where the site names one."""
    return store.folder_mode or ("2775" if store.group else "0755")


def render_site_script(name: str, **values: str | int) -> SiteScript:
    """The text of script `name` with its values assigned in front. Values may hold anything but NUL."""
    texts = {key: str(value) for key, value in {"store_group": "", "folder_mode": "0755", **values}.items()}
    for key, text in texts.items():
        if "\0" in text or not re.fullmatch(r"[a-z][a-z0-9_]*", key):
            raise BugError(f"script value {key!r} cannot be passed to a shell")
    body = script_body(name)
    lines = [f"{key}={shlex.quote(text)}" for key, text in texts.items()]
    return SiteScript(name, texts, body, "\n".join([*lines, body]))


@dataclass(frozen=True)
class Answer:
    """What a script said: `word value` lines in order."""

    lines: tuple[tuple[str, str], ...]

    def find(self, word: str) -> str:
        """The first value of this word, or an empty text."""
        return next((value for key, value in self.lines if key == word), "")

    def find_text(self, word: str) -> str:
        """The first value of this word, sent as base64, as text."""
        try:
            return base64.b64decode(self.find(word), validate=True).decode("utf-8", "backslashreplace")
        except ValueError:  # cut off, or not what was sent
            return ""

    def all(self, word: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.lines if key == word)

    def blocks(self, word: str) -> Iterator[Answer]:
        """The answer cut into pieces, each beginning with a line of this word."""
        starts = [index for index, (key, _) in enumerate(self.lines) if key == word]
        for start, end in zip(starts, [*starts[1:], len(self.lines)], strict=False):
            yield Answer(self.lines[start:end])


def parse_answer_lines(text: str) -> Answer:
    """Read `word value` lines; anything else that a program printed is passed over."""
    lines = []
    # Not splitlines(): a value may hold what Unicode calls a line's end.
    for line in text.split("\n"):
        word, _, value = line.partition(" ")
        if re.fullmatch(r"[a-z][a-z0-9_]*", word):
            lines.append((word, value))
    return Answer(tuple(lines))


def read_answer(outcome: Outcome, *, site: str, step: str, needs: Sequence[str] = ()) -> Answer:
    """The answer of a script that succeeded, holding at least these words.

    Raises the exception of its failure's class otherwise. A script that ended well and did not say what it was asked
    (a prelude may end the shell) has told nothing: SiteResourceError.
    """
    answer = parse_answer_lines(outcome.stdout)
    if not outcome.ok:
        raise _script_failure(answer, outcome, site, step)
    missing = [word for word in needs if not answer.all(word)]
    if missing:
        raise SiteResourceError(
            f"{site}: {step}: the script on the site ended without saying {', '.join(missing)}",
            remedy="look whether a `prelude` of the site ends the shell (exit, exec), and try it on the login node",
            kind="site.answer",
            evidence={"output": outcome.tail()},
        )
    return answer


def _script_failure(answer: Answer, outcome: Outcome, site: str, step: str) -> HpcbakeError:
    word, _, message = answer.find("error").partition(" ")
    if not word and outcome.exit_code > 128:
        return SiteResourceError(
            f"{site}: {step}: the script on the site was ended by signal {outcome.exit_code - 128}",
            remedy="look at the login node's limits of memory and time; run the same command again",
            kind="site.killed",
            evidence={"output": outcome.tail()},
        )
    failure, kind, remedy = _FAILURES.get(word, (BugError, "internal.script", "report this with the output above"))
    cause = find_cause(message, "slurm") if kind in ("slurm.refused", "slurm.down") else None
    return failure(
        f"{site}: {step}: {message or f'the script ended with {outcome.exit_code}'}",
        remedy=cause.remedy if cause else remedy,
        kind=kind,
        evidence={"output": outcome.tail()} if not word or failure is BugError else {},
    )
