"""The one module that knows python-hcl2 and lark: its expression grammar as a parse table.

python-hcl2 brings the grammar of HCL expressions as a lark file. Its own lexer and its dictionaries lose too much
(heredocs, positions, `"${x}"` against `x`), so the grammar is fed by our scanner. Newlines are settled there, so
the grammar's newline alternatives are dropped first: the table is built in 0.4 s instead of 4 s.
The finished table is plain JSON; it is kept in the user's cache folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hpcbake.bakefile.store import Store
from hpcbake.errors import PrereqError

_START = "expression"
_FORMAT = "1"


class Rule(NamedTuple):
    """One production: what it makes, how many symbols it takes, and the name of the action that builds its node."""

    origin: str
    length: int
    action: str
    #: Lark's `?rule`: with a single child it vanishes.
    transparent: bool


class ParseTable(NamedTuple):
    """An LALR(1) table. A state maps a symbol to the next state (≥ 0) or to a rule to reduce by (`-1 - rule`)."""

    states: tuple[dict[str, int], ...]
    rules: tuple[Rule, ...]
    start: int
    end: int


#: One process needs one table.
_loaded: list[ParseTable] = []


def load_table(store: Store) -> ParseTable:
    """The parse table for expressions: from the cache, or built from python-hcl2's grammar (and then cached)."""
    if not _loaded:
        _loaded.append(_load_table(store))
    return _loaded[0]


def _load_table(store: Store) -> ParseTable:
    grammar = _grammar_file().read_text(encoding="utf-8")
    key = sha256("\n".join((_FORMAT, version("lark"), grammar)).encode()).hexdigest()
    cached = store.read("grammar", key)
    if cached is not None:
        try:
            return _from_plain(json.loads(cached))
        except (ValueError, TypeError, KeyError, IndexError):
            pass  # a damaged cache entry is rebuilt and replaced
    table = build_table(grammar)
    store.write("grammar", key, json.dumps(table, separators=(",", ":")))
    return table


def build_table(grammar: str) -> ParseTable:
    """Have lark work out the table. Raises PrereqError if this python-hcl2 has another grammar than we know."""
    import lark
    from lark.grammar import Rule as LarkRule
    from lark.lexer import Lexer, TerminalDef

    class ScannedElsewhere(Lexer):
        """lark wants a lexer; ours runs before it."""

        def __init__(self, _conf: object) -> None: ...

        def lex(self, lexer_state: Any, _parser_state: Any = None) -> Iterator[Any]:
            return iter(lexer_state)

    text = re.sub(r"\bnew_line_or_comment\?", "", grammar)
    parser = lark.Lark(text, parser="lalr", lexer=ScannedElsewhere, start=_START)
    data, memo = parser.memo_serialize([TerminalDef, LarkRule])
    return _from_lark(data["parser"]["parser"], memo)


def _from_lark(table: dict[str, Any], memo: dict[int, dict[str, Any]]) -> ParseTable:
    numbers: dict[int, int] = {}
    rules: list[Rule] = []

    def rule_number(reference: dict[str, int]) -> int:
        identity = reference["@"]
        if identity not in numbers:
            numbers[identity] = len(rules)
            rules.append(_rule(memo[identity]))
        return numbers[identity]

    names = table["tokens"]
    states: list[dict[str, int]] = [{} for _ in table["states"]]
    for state, actions in table["states"].items():
        for symbol, (kind, argument) in actions.items():
            states[state][names[symbol]] = argument if kind == 0 else -1 - rule_number(argument)
    return ParseTable(tuple(states), tuple(rules), table["start_states"][_START], table["end_states"][_START])


def _rule(entry: dict[str, Any]) -> Rule:
    origin = str(entry["origin"]["name"])
    action = "" if origin.startswith("_") else str(entry["alias"] or origin)
    return Rule(origin, len(entry["expansion"]), action, bool(entry["options"]["expand1"]))


def _from_plain(plain: Any) -> ParseTable:
    states, rules, start, end = plain
    return ParseTable(tuple(states), tuple(Rule(*rule) for rule in rules), int(start), int(end))


def _grammar_file() -> Path:
    spec = find_spec("hcl2")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / "hcl2.lark").is_file():
        raise PrereqError(
            "python-hcl2, which brings the grammar of bake files, is not installed completely",
            remedy="pip install 'python-hcl2>=8.1,<9'",
            kind="config.prerequisite",
        )
    return folder / "hcl2.lark"
