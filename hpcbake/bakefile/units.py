"""Files to syntax trees, through the cache: a file that was read before is not parsed again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import cast

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.digest import digest
from hpcbake.bakefile.source import JSON, SourceFile
from hpcbake.bakefile.store import Store
from hpcbake.model.record import Record

#: The modules that decide which tree a text gives.
_PARSER = (
    *("ast", "builder", "hcljson", "jsontext", "scanner", "syntax", "template", "template_scan", "textparse", "tokens"),
    "grammar",
)
#: Larger files are refused: parsing takes up to a second per 100 kB.
MAX_CHARACTERS = 500_000


class Unit(Record):
    """One file, parsed."""

    source: SourceFile
    body: ast.Body


def read_units(files: Sequence[SourceFile], store: Store) -> list[Unit]:
    """Parse every file. Raises BakeFileError with the mistakes of all of them."""
    units: list[Unit] = []
    problems: list[Diagnostic] = []
    for file in files:
        try:
            units.append(Unit(file, _read_body(file, store)))
        except BakeFileError as error:
            problems.extend(error.diagnostics)
    if problems:
        raise BakeFileError(problems)
    return units


def _read_body(source: SourceFile, store: Store) -> ast.Body:
    if len(source.text) > MAX_CHARACTERS:
        message = f"{source.name} has {len(source.text)} characters; bake files may have {MAX_CHARACTERS}"
        raise BakeFileError(
            Diagnostic(codes.LIMIT, message, help="generate targets with a matrix instead of writing them out")
        )
    key = f"{digest(source.text)}-{source.kind}-{_parser_state()}"
    cached = store.read("trees", key)
    if cached is not None:
        body = _decode(cached)
        if body is not None:
            return body
    body = _parse(source, store)
    store.write("trees", key, json.dumps(ast.encode(body), separators=(",", ":")))
    return body


@cache
def _parser_state() -> str:
    """What changes when hpcbake is updated (or edited): trees from another parser are not to be trusted."""
    with suppress(OSError):
        found = [Path(__file__).with_name(f"{name}.py").stat() for name in _PARSER]
        return digest(repr([(file.st_size, file.st_mtime_ns) for file in found]))[:16]
    return "packed"


def _decode(text: str) -> ast.Body | None:
    """The tree in a cache entry, or None if it is damaged."""
    try:
        body = ast.decode(cast(ast.Plain, json.loads(text)))
    except (ValueError, TypeError, IndexError, RecursionError):
        return None
    return body if isinstance(body, ast.Body) else None


def _parse(source: SourceFile, store: Store) -> ast.Body:
    from hpcbake.bakefile.grammar import load_table

    table = load_table(store)
    if source.kind == JSON:
        from hpcbake.bakefile.hcljson import parse_json

        return parse_json(source, table)
    from hpcbake.bakefile.syntax import parse_hcl

    return parse_hcl(source, table)
