"""The one module that knows python-hcl2 and lark: its expression grammar as a parse table.

python-hcl2 brings the grammar of HCL expressions as a lark file. Its own lexer and its dictionaries lose too much
(heredocs, positions, `"${x}"` against `x`), so the grammar is fed by our scanner. Newlines are settled there, so
the grammar's newline alternatives are dropped first: the table is built in 0.4 s instead of 4 s.
The finished table is plain JSON. The one of the python-hcl2 that hpcbake was made with is packed beside this module;
for any other the table is built, and kept in the user's cache folder.

    python -m hpcbake.bakefile.grammar     packs the table of the python-hcl2 that is installed
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from hpcbake.bakefile.digest import digest
from hpcbake.bakefile.store import Store
from hpcbake.errors import PrereqError

_PACKED = Path(__file__).with_name("expression_table.json")
_START = "expression"
_FORMAT = "2"


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
        _loaded.append(table_of(_grammar_file().read_text(encoding="utf-8"), store))
    return _loaded[0]


def table_of(grammar: str, store: Store) -> ParseTable:
    """The table of this grammar: packed, from the cache, or built now (and then cached)."""
    key = digest(f"{_FORMAT}\n{grammar}")
    for text in _kept_texts(store, key):
        try:
            found, table = _from_plain(json.loads(text))
        except (ValueError, TypeError, KeyError, IndexError):
            continue  # a damaged cache entry is rebuilt and replaced
        if found == key:
            return table
    table = build_table(grammar)
    store.write("grammar", key, render_table(table, key))
    return table


def _kept_texts(store: Store, key: str) -> Iterator[str]:
    """The packed table, which may be that of another python-hcl2, and the one in the cache."""
    if _PACKED.is_file():
        yield _PACKED.read_text(encoding="utf-8")
    cached = store.read("grammar", key)
    if cached is not None:
        yield cached


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
    return _in_order(_from_lark(data["parser"]["parser"], memo))


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


def _in_order(table: ParseTable) -> ParseTable:
    """The same table with states and rules in an order of their own, for lark's changes from run to run."""
    rules = sorted(table.rules)
    rule_numbers = {number: rules.index(rule) for number, rule in enumerate(table.rules)}
    order = [table.start]
    for state in order:  # grows while it is read
        following = [argument for _, argument in sorted(table.states[state].items()) if argument >= 0]
        order.extend(dict.fromkeys(number for number in following if number not in order))
    place = {state: number for number, state in enumerate(order)}
    states = tuple(
        {
            symbol: place[argument] if argument >= 0 else -1 - rule_numbers[-1 - argument]
            for symbol, argument in sorted(table.states[state].items())
        }
        for state in order
    )
    return ParseTable(states, tuple(rules), place[table.start], place[table.end])


def render_table(table: ParseTable, key: str) -> str:
    """A table as JSON, one state or rule per line; `key` is the digest of the grammar that it was made of."""
    states = ",\n".join(json.dumps(state, separators=(",", ":")) for state in table.states)
    rules = ",\n".join(json.dumps(rule, separators=(",", ":")) for rule in table.rules)
    return f'{{"key":"{key}","start":{table.start},"end":{table.end},\n"rules":[\n{rules}],\n"states":[\n{states}]}}\n'


def _from_plain(plain: Any) -> tuple[str, ParseTable]:
    rules = tuple(Rule(*rule) for rule in plain["rules"])
    return plain["key"], ParseTable(tuple(plain["states"]), rules, int(plain["start"]), int(plain["end"]))


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


def render_packed_table() -> str:
    """The table of the python-hcl2 that is installed, as it is packed with hpcbake."""
    grammar = _grammar_file().read_text(encoding="utf-8")
    return render_table(build_table(grammar), digest(f"{_FORMAT}\n{grammar}"))


if __name__ == "__main__":
    _PACKED.write_text(render_packed_table(), encoding="utf-8")
