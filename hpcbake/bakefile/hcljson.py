"""The JSON form of bake files, as the same syntax tree that HCL gives.

Strings are templates, objects below a block type are labels, an array of objects is a repeated block, and keys named
`//` are comments. A template that cannot be read is an error only if something evaluates it, as in buildx.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.diagnostics import BakeFileError, Diagnostic
from hpcbake.bakefile.grammar import ParseTable
from hpcbake.bakefile.jsontext import JsonArray, JsonNode, JsonObject, JsonProperty, JsonScalar, JsonText, read_json
from hpcbake.bakefile.schema import BLOCKS, LOCALS
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.textparse import parse_expression_text, parse_template_text

#: Attributes that hold an expression in a string, not a template.
_EXPRESSIONS = frozenset({("variable", "type"), ("function", "params"), ("function", "variadic_params")})

#: Attributes that are read before anything has a value: their strings are no templates.
_PLAIN = frozenset({("variable", "description")})


def parse_json(source: SourceFile, table: ParseTable) -> ast.Body:
    """The tree of one JSON bake file. Raises BakeFileError."""
    reader = _Reader(source, table)
    body = reader.file_body(read_json(source))
    if reader.problems:
        raise BakeFileError(reader.problems)
    return body


class _Reader:
    def __init__(self, source: SourceFile, table: ParseTable) -> None:
        self._source = source
        self._table = table
        self.problems: list[Diagnostic] = []

    def _report(self, node: JsonNode, message: str, advice: str = "") -> None:
        span = Span(self._source, node.start, node.end)
        self.problems.append(Diagnostic(codes.JSON_SYNTAX, message, span, advice))

    # -- structure

    def file_body(self, root: JsonNode) -> ast.Body:
        attributes: dict[str, ast.Attribute] = {}
        blocks: list[ast.Block] = []
        if isinstance(root, JsonArray):
            self._report(root, "the file must be a JSON object", "put its definitions into one { … }")
            return ast.Body((), ())
        for member in self._members(root, "the file"):
            if member.name in BLOCKS:
                blocks.extend(self._labelled(member.name, member))
            elif member.name == LOCALS:
                blocks.extend(self._blocks(member.name, (), member, member.value))
            else:
                self._add(attributes, member, "")
        return ast.Body(tuple(attributes.values()), tuple(blocks))

    def _add(self, attributes: dict[str, ast.Attribute], member: JsonProperty, block_type: str) -> None:
        if member.name in attributes:
            span = Span(self._source, member.start, member.name_end)
            message = f"{member.name} is set twice"
            self.problems.append(Diagnostic(codes.DUPLICATE_ATTRIBUTE, message, span, "keep one of the two"))
            return
        read = self._expression if (block_type, member.name) in _EXPRESSIONS else self.value
        plain = (block_type, member.name) in _PLAIN and isinstance(member.value, JsonText)
        expression = _literal(member.value) if plain else read(member.value)
        attributes[member.name] = ast.Attribute(
            member.name, expression, member.name_end, member.start, member.value.end
        )

    def _members(self, node: JsonNode, what: str) -> Iterator[JsonProperty]:
        """The properties of an object, or of all objects of an array; comments left out."""
        objects = node.items if isinstance(node, JsonArray) else (node,)
        for item in objects:
            if isinstance(item, JsonObject):
                yield from (member for member in item.members if member.name != "//")
            elif not (isinstance(item, JsonScalar) and item.value is None and item is node):
                self._report(item, f"{what} must be a JSON object")

    def _labelled(self, block_type: str, member: JsonProperty) -> Iterator[ast.Block]:
        found = False
        for labelled in self._members(member.value, f"the {block_type} blocks"):
            found = True
            label = ast.Label(labelled.name, labelled.start, labelled.name_end)
            yield from self._blocks(block_type, (label,), labelled, labelled.value)
        if not found and not self.problems:
            self._report(member.value, f"{block_type} needs an object with the names of its blocks")

    def _blocks(
        self, block_type: str, labels: tuple[ast.Label, ...], member: JsonProperty, value: JsonNode
    ) -> Iterator[ast.Block]:
        if isinstance(value, JsonScalar) and value.value is None:
            return
        bodies = value.items if isinstance(value, JsonArray) else (value,)
        for body in bodies:
            if not isinstance(body, (JsonObject, JsonArray)):
                self._report(body, f"a {block_type} must be a JSON object")
                continue
            content = self._block_body(block_type, body)
            yield ast.Block(block_type, labels, content, member.name_end, body.start, member.start, body.end)

    def _block_body(self, block_type: str, node: JsonNode) -> ast.Body:
        nested = BLOCKS[block_type][1] if block_type in BLOCKS else frozenset()
        attributes: dict[str, ast.Attribute] = {}
        blocks: list[ast.Block] = []
        for member in self._members(node, f"a {block_type}"):
            if member.name in nested:
                blocks.extend(self._blocks(member.name, (), member, member.value))
            else:
                self._add(attributes, member, block_type)
        return ast.Body(tuple(attributes.values()), tuple(blocks))

    # -- expressions

    def value(self, node: JsonNode) -> ast.Node:
        """A JSON value as an expression: strings and keys are templates."""
        if isinstance(node, JsonText):
            return self._template(node)
        if isinstance(node, JsonArray):
            return ast.TupleNode(tuple(map(self.value, node.items)), node.start, node.end)
        if isinstance(node, JsonObject):
            return self._object(node)
        assert isinstance(node, JsonScalar)
        if isinstance(node.value, str):
            return ast.NumberLiteral(node.value, node.start, node.end)
        return ast.Literal(node.value, node.start, node.end)

    def _object(self, node: JsonObject) -> ast.Node:
        items: list[tuple[ast.Node, ast.Node]] = []
        seen: set[str] = set()
        for member in node.members:
            if member.name in seen:
                broken = ast.Broken(codes.OBJECT_KEY, f"{member.name} is set twice", "", member.start, member.name_end)
                items.append((broken, broken))
            seen.add(member.name)
            # In parentheses, so that a key "a" is never taken for the bare name a.
            key = ast.Parens(self._template(member.key), member.start, member.name_end)
            items.append((key, self.value(member.value)))
        return ast.ObjectNode(tuple(items), node.start, node.end)

    def _template(self, text: JsonText) -> ast.Node:
        if "${" not in text.value and "%{" not in text.value:
            return _literal(text)
        try:
            return parse_template_text(self._source, self._table, text)
        except BakeFileError as error:
            return _broken(error.diagnostics[0], text)

    def _expression(self, node: JsonNode) -> ast.Node:
        """A type, or the names of parameters: expressions written in strings."""
        if isinstance(node, JsonArray):
            return ast.TupleNode(tuple(map(self._expression, node.items)), node.start, node.end)
        if not isinstance(node, JsonText):
            return self.value(node)
        try:
            return parse_expression_text(self._source, self._table, node)
        except BakeFileError as error:
            return _broken(error.diagnostics[0], node)


def _literal(text: JsonNode) -> ast.Node:
    assert isinstance(text, JsonText)
    return ast.Template((ast.Literal(text.value, text.start + 1, text.end - 1),), text.start, text.end)


def _broken(diagnostic: Diagnostic, text: JsonText) -> ast.Node:
    span = diagnostic.span
    start, end = (text.start, text.end) if span is None else (span.start, span.end)
    return ast.Broken(diagnostic.code, diagnostic.message, diagnostic.help, start, end)
