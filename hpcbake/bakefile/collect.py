"""The definitions of all files, sorted by kind: what is defined twice, what is reserved, what bake does not know."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.functions import NAMES
from hpcbake.bakefile.schema import BLOCKS, LOCALS, OTHER_NAMES, VALIDATION
from hpcbake.bakefile.source import SourceFile, Span
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.units import Unit
from hpcbake.model.record import Record


class Sourced(Record):
    """An attribute, and the file it stands in."""

    source: SourceFile
    attribute: ast.Attribute

    @property
    def span(self) -> Span:
        return Span(self.source, self.attribute.start, self.attribute.name_end)


class Definition(Record):
    """A labelled block, and the file it stands in."""

    name: str
    source: SourceFile
    block: ast.Block

    @property
    def span(self) -> Span:
        """The block's header without its brace."""
        last = self.block.labels[-1].end if self.block.labels else self.block.type_end
        return Span(self.source, self.block.start, last)

    @property
    def label_span(self) -> Span:
        label = self.block.labels[0]
        return Span(self.source, label.start, label.end)

    def attribute(self, name: str) -> ast.Attribute | None:
        return next((a for a in self.block.body.attributes if a.name == name), None)

    def span_of(self, node: ast.Node | ast.Attribute) -> Span:
        return Span(self.source, node.start, node.end)


class Collected:
    """Everything that is defined, by kind and name, in file order."""

    def __init__(self) -> None:
        self.variables: dict[str, Definition] = {}
        self.functions: dict[str, Definition] = {}
        self.globals: dict[str, Sourced] = {}
        self.locals: dict[str, Sourced] = {}
        self.blocks: list[Definition] = []
        self.errors: list[Diagnostic] = []
        self.found: list[Diagnostic] = []

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(self.found)

    def place_of(self, name: str) -> Span | None:
        if name.startswith("local.") and name[6:] in self.locals:
            return self.locals[name[6:]].span
        if name in self.globals:
            return self.globals[name].span
        return self.variables[name].span if name in self.variables else None


def collect(units: Sequence[Unit], built_in: frozenset[str]) -> Collected:
    """Sort the contents of all files. Later definitions replace earlier ones of the same name; blocks add up."""
    collected = Collected()
    for unit in units:
        for attribute in unit.body.attributes:
            _add_global(collected, Sourced(unit.source, attribute), built_in)
        for block in unit.body.blocks:
            _add_block(collected, unit.source, block, built_in)
    return collected


def _add_global(collected: Collected, sourced: Sourced, built_in: frozenset[str]) -> None:
    name = sourced.attribute.name
    if name in built_in or name in ("group", "target", "function"):
        _warn(collected, codes.RESERVED_NAME, sourced.span, f"{name} is a name of bake's own; this value is ignored")
        return
    collected.globals[name] = sourced


def _add_block(collected: Collected, source: SourceFile, block: ast.Block, built_in: frozenset[str]) -> None:
    if block.type == LOCALS:
        _add_locals(collected, source, block)
        return
    if block.type not in BLOCKS:
        _warn_unknown_block(collected, source, block)
        return
    if len(block.labels) != 1:
        collected.errors.append(_wrong_labels(source, block))
        return
    definition = Definition(block.labels[0].text, source, block)
    _check_contents(collected, definition)
    if block.type == "variable":
        _add_named(collected, collected.variables, definition, built_in)
    elif block.type == "function":
        if definition.name in NAMES:
            message = f"{definition.name} is a standard function; this one is never called"
            _warn(collected, codes.RESERVED_NAME, definition.label_span, message, "give it another name")
        _add_named(collected, collected.functions, definition, built_in)
    else:
        collected.blocks.append(definition)


def _add_named(
    collected: Collected, known: dict[str, Definition], definition: Definition, built_in: frozenset[str]
) -> None:
    if definition.name in built_in or definition.name in ("group", "target"):
        message = f"{definition.name} is a name of bake's own; this {definition.block.type} is ignored"
        _warn(collected, codes.RESERVED_NAME, definition.label_span, message)
        return
    known[definition.name] = definition


def _add_locals(collected: Collected, source: SourceFile, block: ast.Block) -> None:
    if not collected.locals:
        span = Span(source, block.start, block.type_end)
        _warn(
            collected,
            codes.LOCALS_EXTENSION,
            span,
            "`locals` is hpcbake's own; plain docker buildx ignores it and does not know local.…",
            "hpcbake hands BuildKit the resolved plan; for buildx itself write name = value at the top level",
        )
    for attribute in block.body.attributes:
        earlier = collected.locals.get(attribute.name)
        sourced = Sourced(source, attribute)
        if earlier is not None:
            message = f"local.{attribute.name} is already set at {earlier.span}"
            collected.errors.append(Diagnostic(codes.LOCALS, message, sourced.span, "keep one of the two"))
        collected.locals[attribute.name] = sourced


def _wrong_labels(source: SourceFile, block: ast.Block) -> Diagnostic:
    if not block.labels:
        place = Span(source, block.start, block.type_end)
        return Diagnostic(codes.LABEL, f"this {block.type} has no name", place, f'write {block.type} "name" {{ … }}')
    extra = block.labels[1]
    place = Span(source, extra.start, extra.end)
    return Diagnostic(codes.LABEL, f"a {block.type} has one name, not {len(block.labels)}", place, "remove the others")


def _warn(collected: Collected, code: str, span: Span, message: str, advice: str = "") -> None:
    collected.found.append(Diagnostic(code, message, span, advice))


def _warn_unknown_block(collected: Collected, source: SourceFile, block: ast.Block) -> None:
    near = nearest(block.type, [*BLOCKS, LOCALS])
    advice = f"did you mean {near}?" if near else "bake knows target, group, variable and function"
    message = f"bake knows no block {block.type}; it is ignored"
    _warn(collected, codes.UNKNOWN_BLOCK, Span(source, block.start, block.type_end), message, advice)


def _check_contents(collected: Collected, definition: Definition) -> None:
    """Say what bake ignores in a block, and what it refuses: functions and validations take no unknown words."""
    type_, body = definition.block.type, definition.block.body
    attributes, blocks = BLOCKS[type_]
    _check_body(collected, definition.source, type_, body, attributes, blocks)
    for block in body.blocks:
        if block.type in blocks:
            _check_body(collected, definition.source, block.type, block.body, VALIDATION, frozenset())


def _check_body(
    collected: Collected,
    source: SourceFile,
    type_: str,
    body: ast.Body,
    attributes: frozenset[str],
    blocks: frozenset[str],
) -> None:
    strict = type_ in ("function", "validation")
    for attribute in body.attributes:
        if attribute.name not in attributes:
            near = (OTHER_NAMES.get(attribute.name) if type_ == "target" else None) or nearest(
                attribute.name, attributes
            )
            advice = f"did you mean {near}?" if near else ""
            span = Span(source, attribute.start, attribute.name_end)
            message = f"a {type_} has no attribute {attribute.name}"
            _unknown(collected, codes.UNKNOWN_ATTRIBUTE, span, message, advice, strict)
    for block in body.blocks:
        if block.type not in blocks:
            advice = f"write {block.type} = {{ … }}" if block.type in attributes else ""
            span = Span(source, block.start, block.type_end)
            _unknown(collected, codes.UNKNOWN_BLOCK, span, f"a {type_} has no block {block.type}", advice, strict)


def _unknown(collected: Collected, code: str, span: Span, message: str, advice: str, strict: bool) -> None:
    if strict:
        collected.errors.append(Diagnostic(codes.FUNCTION_DEFINITION, message, span, advice))
    else:
        _warn(collected, code, span, f"{message}; it is ignored", advice)
