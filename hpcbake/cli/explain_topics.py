"""Everything that `hpcbake explain` can be asked for by name: error codes, kinds, exit codes, rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from hpcbake.bakefile import codes, resolution_codes
from hpcbake.bakefile.suggestion import nearest
from hpcbake.catalogue import ENTRIES, RETIRED, Entry
from hpcbake.catalogue.exits import EXITS
from hpcbake.errors import RETRYABLE_CODES, ExitCode


class Topic(NamedTuple):
    """One thing to explain. `names` are all words that lead to it, the first being its own."""

    names: tuple[str, ...]
    sort: str
    means: str
    remedy: str
    looks: str = ""
    exits: tuple[ExitCode, ...] = ()
    page: str = ""

    @property
    def name(self) -> str:
        return self.names[0]

    def document(self) -> dict[str, Any]:
        """As a member of a JSON document."""
        return {
            "name": self.name,
            "also": list(self.names[1:]),
            "sort": self.sort,
            "means": self.means,
            "looks": self.looks or None,
            "remedy": self.remedy or None,
            "exit_codes": [int(code) for code in self.exits],
            "retryable": any(code in RETRYABLE_CODES for code in self.exits),
            "page": self.page or None,
        }


def find_topic(word: str) -> Topic | None:
    """The topic that this word names, in any case, with or without `HB-` and brackets; None for an unknown one."""
    wanted = _plain(word)
    for name in (wanted, f"hb-{wanted}"):
        if name in _by_name():
            return _by_name()[name]
    return None


def suggestion(word: str) -> str:
    """What was probably meant by an unknown word."""
    numbered = re.fullmatch(r"(?:hb-)?([a-z]+)-\d+", _plain(word))
    near = nearest(_plain(word), [name for name in _by_name() if not name.isdigit()][:2000])
    if near is None and numbered:
        near = next((name for name in _by_name() if name.startswith(f"hb-{numbered[1]}-")), None)
    if near is None:
        return "hpcbake explain --list shows every name"
    topic = _by_name()[near]
    return f"did you mean {topic.name if near.startswith('hb-') else near}? hpcbake explain --list shows every name"


def all_topics() -> tuple[Topic, ...]:
    """Errors by area, then exit codes, then what is found in bake files, Dockerfiles and images."""
    return _topics()


def _plain(word: str) -> str:
    text = word.strip().strip("[]():,.").lower().replace("_", "-")
    text = re.sub(r"^exit[ -]?(code)?[ -]?(?=\d)", "", text)
    return re.sub(r"(?<=[a-z]-)0*(\d{1,3})$", lambda match: match[1].zfill(3), text)


@cache
def _by_name() -> dict[str, Topic]:
    return {_plain(name): topic for topic in reversed(_topics()) for name in topic.names}


@cache
def _topics() -> tuple[Topic, ...]:
    return (*map(_error, ENTRIES), *_retired(), *_exit_codes(), *_bake_codes(), *_lint_rules(), *_check_rules())


def _error(entry: Entry) -> Topic:
    page = f"docs/reference/errors.md#{entry.anchor}"
    return Topic((entry.code, entry.kind), "error", entry.means, entry.remedy, entry.looks, entry.exits, page)


def _retired() -> Iterator[Topic]:
    for code in sorted(RETIRED):
        yield Topic((code,), "error", "An error of an older hpcbake; no code of today gives it.", "")


def _exit_codes() -> Iterator[Topic]:
    for code, (means, remedy) in EXITS.items():
        page = "docs/reference/exit-codes.md"
        yield Topic((str(int(code)), code.name), "exit code", means, remedy, exits=(code,), page=page)


def _bake_codes() -> Iterator[Topic]:
    for name, meaning in sorted({**codes.MEANINGS, **resolution_codes.MEANINGS}.items()):
        text = f"{meaning[0].upper()}{meaning[1:]}."
        remedy = "The message shows the place in the file, and its help line what to write there."
        yield Topic((name,), "bake file", text, remedy, exits=(ExitCode.CONFIG,), page="docs/reference/bake-codes.md")


def _lint_rules() -> Iterator[Topic]:
    from hpcbake.bakefile import lint

    for rule in lint.RULES:
        page = f"docs/reference/lint-rules.md#{rule.code.lower()}-{rule.name}"
        yield Topic((rule.code, rule.name), f"lint {rule.severity.value}", f"{rule.title}. {rule.why}", rule.mend,
                    page=page)  # fmt: skip


def _check_rules() -> Iterator[Topic]:
    from hpcbake.check import rules

    for rule in rules.RULES:
        title = f"{rule.title[0].upper()}{rule.title[1:]}. {rule.about}"
        remedy = "`hpcbake check IMAGE --explain PATH` shows how one file is resolved, library by library."
        yield Topic((rule.id,), "check rule", title, remedy, page=f"docs/reference/check-rules.md#{rule.id}")
