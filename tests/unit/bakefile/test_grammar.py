"""The table that expressions are parsed by: packed, cached or built, and always the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.bakefile import grammar
from hpcbake.bakefile.store import NoStore

PACKED = Path(grammar.__file__).with_name("expression_table.json")
SMALL = 'expression: expr_term\n?expr_term: NAME -> identifier | "(" expression ")"\nNAME: /[a-z]+/\n'


class Shelf:
    """A store that keeps its entries in memory."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def read(self, kind: str, key: str) -> str | None:
        return self.entries.get((kind, key))

    def write(self, kind: str, key: str, text: str) -> None:
        self.entries[kind, key] = text


def test_the_packed_table_is_that_of_the_installed_grammar() -> None:
    """A run without any cache need not build it."""
    made = grammar.render_packed_table()
    packed = PACKED.read_text()
    if packed.partition("\n")[0].partition(",")[0] != made.partition("\n")[0].partition(",")[0]:
        pytest.skip("another release of python-hcl2: `python -m hpcbake.bakefile.grammar` packs its table")
    assert packed == made


def test_the_table_of_another_grammar_is_built_once_and_kept() -> None:
    """A newer python-hcl2 is not parsed by an old table."""
    shelf = Shelf()
    built = grammar.table_of(SMALL, shelf)
    assert built == grammar.build_table(SMALL)
    (text,) = shelf.entries.values()
    shelf.entries = dict.fromkeys(shelf.entries, text.replace('"NAME"', '"WORD"'))
    assert grammar.table_of(SMALL, shelf) != built, "what is on the shelf is taken"
    assert grammar.table_of(SMALL, NoStore()) == built


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"key":"x"}', "\x00", '{"key":1,"rules":[1],"states":2}'])
def test_a_damaged_entry_is_replaced(damage: str) -> None:
    """Whatever is in it."""
    shelf = Shelf()
    built = grammar.table_of(SMALL, shelf)
    sound = dict(shelf.entries)
    shelf.entries = dict.fromkeys(shelf.entries, damage)
    assert grammar.table_of(SMALL, shelf) == built
    assert shelf.entries == sound
