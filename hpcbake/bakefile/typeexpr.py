"""Type expressions: `list(string)`, `object({ name = string, port = optional(number) })`."""

from __future__ import annotations

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.scope import EvaluationError, error_at
from hpcbake.bakefile.source import SourceFile
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    ListType,
    MapType,
    SetType,
    TupleType,
    Type,
    object_type,
)

_SIMPLE: dict[str, Type] = {"string": STRING, "number": NUMBER, "bool": BOOL, "any": ANY}
_COLLECTIONS: dict[str, type[ListType | SetType | MapType]] = {"list": ListType, "set": SetType, "map": MapType}
_WORDS = (*_SIMPLE, *_COLLECTIONS, "object", "tuple")


def parse_type(source: SourceFile, node: ast.Node) -> Type | None:
    """The type that an expression describes; None for `null`, which declares nothing. Raises EvaluationError."""
    if isinstance(node, ast.Literal) and node.value is None:
        return None
    return _Reader(source).read(node)


class _Reader:
    def __init__(self, source: SourceFile) -> None:
        self._source = source

    def _error(self, node: ast.Node, message: str, advice: str = "") -> EvaluationError:
        return error_at(self._source, codes.VARIABLE_TYPE, (node.start, node.end), message, advice)

    def read(self, node: ast.Node) -> Type:
        if isinstance(node, ast.Variable) and not node.steps:
            return self._simple(node)
        if isinstance(node, ast.Call):
            return self._constructed(node)
        advice = "types are not quoted: type = string" if isinstance(node, (ast.Template, ast.Literal)) else ""
        raise self._error(
            node, "this is not a type", advice or "write string, number, bool, list(…), map(…), object({…})"
        )

    def _simple(self, node: ast.Variable) -> Type:
        if node.name in _SIMPLE:
            return _SIMPLE[node.name]
        if node.name in _WORDS:
            inner = {"object": "{ name = string }", "tuple": "[string]"}.get(node.name, "string")
            raise self._error(node, f"{node.name} needs the type of its elements", f"write {node.name}({inner})")
        near = nearest(node.name, _WORDS)
        raise self._error(node, f"{node.name} is not a type", f"did you mean {near}?" if near else "")

    def _constructed(self, node: ast.Call) -> Type:
        if node.name in _SIMPLE:
            raise self._error(node, f"{node.name} takes no arguments", f"write {node.name}")
        if node.name == "optional":
            raise self._error(node, "optional(…) stands only inside object({…})")
        if node.name not in _WORDS:
            near = nearest(node.name, _WORDS)
            raise self._error(node, f"{node.name} is not a type", f"did you mean {near}?" if near else "")
        if len(node.args) != 1 or node.expand:
            raise self._error(node, f"{node.name} takes one argument")
        argument = node.args[0]
        if node.name in _COLLECTIONS:
            return _COLLECTIONS[node.name](self.read(argument))
        if node.name == "tuple":
            if not isinstance(argument, ast.TupleNode):
                raise self._error(argument, "tuple takes a list of types", "write tuple([string, number])")
            return TupleType(tuple(map(self.read, argument.items)))
        return self._object(argument)

    def _object(self, argument: ast.Node) -> Type:
        if not isinstance(argument, ast.ObjectNode):
            raise self._error(argument, "object takes the types of its attributes", "write object({ name = string })")
        attributes: dict[str, Type] = {}
        optional: set[str] = set()
        for key, node in argument.items:
            if not isinstance(key, ast.Variable) or key.steps:
                raise self._error(key, "attribute names are plain words here")
            if isinstance(node, ast.Call) and node.name == "optional":
                if len(node.args) != 1 or node.expand:
                    advice = "bake knows no defaults of attributes; write optional(type)"
                    raise self._error(node, "optional takes one argument, the type", advice)
                optional.add(key.name)
                node = node.args[0]
            attributes[key.name] = self.read(node)
        return object_type(attributes, frozenset(optional))
