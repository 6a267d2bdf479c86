"""The messages that the code can raise, as patterns, found by reading the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from hpcbake import errors
from hpcbake.catalogue.causes import CAUSES
from hpcbake.errors import HpcbakeError

ROOT = Path(__file__).resolve().parents[3]
FAILURES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, HpcbakeError) and value is not HpcbakeError
}


#: Stands for the kind of messages whose kind is known when they are raised only.
ANY = "*"


@cache
def sources() -> tuple[tuple[str, tuple[ast.AST, ...]], ...]:
    """Every module of hpcbake that makes exceptions: its path, and its calls, tuples and keywords, walked once."""
    texts = [(path, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "hpcbake").rglob("*.py"))]
    return tuple((str(path.relative_to(ROOT)), _nodes(text)) for path, text in texts if "Error(" in text)


def _nodes(text: str) -> tuple[ast.AST, ...]:
    wanted = ast.Call | ast.Tuple | ast.keyword
    return tuple(node for node in ast.walk(ast.parse(text)) if isinstance(node, wanted))


@cache
def message_patterns() -> dict[str, list[re.Pattern[str]]]:
    """kind → a pattern for each message that is written beside it: at the exception, or in a table of causes."""
    found: dict[str, list[re.Pattern[str]]] = {}
    for path, nodes in sources():
        for call in _failures_of(nodes):
            assert isinstance(call.func, ast.Name)
            given = _argument(call, "kind")
            kind = FAILURES[call.func.id].kind if given is None else _text(given) or ANY
            pattern = text_pattern(call.args[0])
            if pattern.strip(".+?"):
                found.setdefault(kind, []).append(re.compile(pattern, re.DOTALL))
        for kind, texts in _table_rows(nodes):
            # The scripts on the sites write their own messages.
            patterns = [".+"] if path.endswith("sites/scripts.py") else [f".*{re.escape(text)}.*" for text in texts]
            found.setdefault(kind, []).extend(map(re.compile, patterns))
    for cause in (*CAUSES["pull"], *CAUSES["build"]):
        found.setdefault(cause.kind, []).append(re.compile(f".*{re.escape(cause.meaning)}.*"))
    return found


def _table_rows(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, list[str]]]:
    """Rows that name an exception class and a kind without raising: the kind, and the row's texts."""
    for node in nodes:
        parts = node.elts if isinstance(node, ast.Tuple) else node.args if isinstance(node, ast.Call) else []
        if any(isinstance(part, ast.Name) and part.id in FAILURES for part in parts):
            texts = [text for part in parts if (text := _text(part))]
            for kind in (text for text in texts if re.fullmatch(r"[a-z]+(\.[a-z0-9-]+)+", text)):
                yield kind, [text for text in texts if text != kind]


def named_kinds() -> dict[str, str]:
    """Every kind that is given by a keyword `kind="…"` to an exception, with a place where."""
    return {
        kind: f"{path}:{call.lineno}"
        for path, nodes in sources()
        for call in _failures_of(nodes)
        if (kind := _text(_argument(call, "kind")))
    }


def without_remedy() -> Iterator[str]:
    """Failures that do not say what comes next: place and message. A bug has no remedy, nor has a signal."""
    for path, nodes in sources():
        for call in _failures_of(nodes):
            assert isinstance(call.func, ast.Name)
            is_given = _argument(call, "remedy") is not None or any(keyword.arg is None for keyword in call.keywords)
            if not is_given and call.func.id not in ("BugError", "InterruptedByUserError"):
                yield f"{path}:{call.lineno}: {plain_text(call.args[0])}"


def remedies() -> Iterator[tuple[str, str]]:
    """Every remedy that is written beside an exception or as a `help=`: its place and its text, holes as `…`."""
    for path, nodes in sources():
        for node in nodes:
            if isinstance(node, ast.keyword) and node.arg in ("remedy", "help", "mend"):
                yield f"{path}:{node.value.lineno}", plain_text(node.value)


def plain_text(node: ast.expr) -> str:
    """The text of an expression with `…` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(plain_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return plain_text(node.left) + plain_text(node.right)
    return "…"


def text_pattern(node: ast.expr) -> str:
    """A regular expression for the texts that an expression can become."""
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.JoinedStr):
        return "".join(text_pattern(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_pattern(node.left) + text_pattern(node.right)
    return ".*?" if isinstance(node, ast.IfExp) else ".+?"


def _failures_of(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAILURES and node.args:
            yield node


def _argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
