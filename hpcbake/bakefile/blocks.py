"""Target and group blocks: expanded by their matrix, named, and evaluated attribute by attribute."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpcbake.bakefile import ast, codes
from hpcbake.bakefile.access import AccessError
from hpcbake.bakefile.collect import Definition
from hpcbake.bakefile.convert import ConversionError, as_string
from hpcbake.bakefile.definition import AttributeValue, GroupDefinition, TargetDefinition
from hpcbake.bakefile.diagnostics import Diagnostic
from hpcbake.bakefile.entries import seen_entries
from hpcbake.bakefile.evaluate import Evaluator
from hpcbake.bakefile.plain import to_plain, typed_attribute
from hpcbake.bakefile.schema import GROUP, LATER, TARGET, Kind
from hpcbake.bakefile.scope import DefinitionError, EvaluationError, Scope
from hpcbake.bakefile.source import Span, printable
from hpcbake.bakefile.suggestion import nearest
from hpcbake.bakefile.types import BOOL, STRING, ListType, MapType, Type
from hpcbake.bakefile.values import MapValue, Null, ObjectValue, Value, can_iterate, elements

if TYPE_CHECKING:
    from hpcbake.bakefile.program import Program

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
#: So many targets a matrix may make.
MAX_EXPANSIONS = 20_000
#: The types that unset attributes have, by kind.
_UNSET: dict[Kind, Type] = {
    Kind.FLAG: BOOL,
    Kind.TEXTS: ListType(STRING),
    Kind.MAP: MapType(STRING),
    Kind.LOOSE_MAP: MapType(STRING),
}


#: The first names of references to blocks.
BLOCK_ROOTS = ("target", "group")


class Expansion:
    """One target or group: a block under one combination of its matrix."""

    __slots__ = ("definition", "in_progress", "name", "scope", "values")

    def __init__(self, definition: Definition, scope: Scope) -> None:
        self.definition = definition
        self.scope = scope
        self.name = definition.name
        self.values: dict[str, Value | tuple[Diagnostic, ...]] = {}
        self.in_progress: set[str] = set()

    @property
    def schema(self) -> dict[str, Kind]:
        return TARGET if self.definition.block.type == "target" else GROUP


class BlockTable:
    """All blocks of a program."""

    def __init__(self, program: Program, definitions: Sequence[Definition]) -> None:
        self._program = program
        self._definitions = definitions
        self._expansions: list[Expansion] = []
        self._named: dict[tuple[str, str], list[Expansion]] = {}

    # -- names

    def name_all(self) -> list[Diagnostic]:
        """Expand every matrix and give every expansion its name."""
        problems: list[Diagnostic] = []
        for definition in self._definitions:
            try:
                expansions = self._expand(definition)
            except EvaluationError as error:
                problems.extend(error.diagnostics)
            except DefinitionError as error:
                problems.extend(error.diagnostics)
            else:
                self._expansions.extend(expansions)
                if len(self._expansions) > MAX_EXPANSIONS + len(self._definitions):
                    message = f"all matrices together make more than {MAX_EXPANSIONS} targets"
                    return [*problems, Diagnostic(codes.LIMIT, message, definition.span)]
                for expansion in expansions:
                    self._named.setdefault((definition.block.type, expansion.name), []).append(expansion)
        return problems

    def _expand(self, definition: Definition) -> list[Expansion]:
        matrix, name = definition.attribute("matrix"), definition.attribute("name")
        if definition.block.type == "group":
            for attribute in (matrix, name):
                if attribute is not None:
                    message = f"a group has no {attribute.name}"
                    raise _problem(codes.MATRIX, message, definition.span_of(attribute), "only targets have")
        expansions = [Expansion(definition, scope) for scope in self._scopes(definition, matrix)]
        check_name(definition.name, definition.label_span)
        if name is None:
            if len(expansions) > 1:
                raise self._nameless(definition)
            return expansions
        if matrix is None:
            advice = "the name of the block is its label; name goes with matrix"
            raise _problem(codes.MATRIX, "name without matrix", definition.span_of(name), advice)
        seen: set[str] = set()
        for expansion in expansions:
            expansion.name = self._evaluated_name(expansion, name)
            if expansion.name in seen:
                message = f'two expansions of {definition.name} are named "{expansion.name}"'
                advice = "let name use every key of the matrix"
                raise _problem(codes.NAME, message, definition.span_of(name), advice)
            seen.add(expansion.name)
        return expansions

    @staticmethod
    def _nameless(definition: Definition) -> DefinitionError:
        keys: list[str] = []
        matrix = definition.attribute("matrix")
        if matrix is not None and isinstance(matrix.expression, ast.ObjectNode):
            keys = [k.name for k, _ in matrix.expression.items if isinstance(k, ast.Variable)]
        pattern = "-".join(f"${{{key}}}" for key in keys) or "${…}"
        advice = f'add name = "{definition.name}-{pattern}"'
        return _problem(
            codes.NAME, f"the matrix of {definition.name} needs a name for each expansion", definition.span, advice
        )

    def _scopes(self, definition: Definition, matrix: ast.Attribute | None) -> list[Scope]:
        scope = self._program.scope
        if matrix is None:
            return [scope]
        value = Evaluator(definition.source, scope).value(matrix.expression)
        span = definition.span_of(matrix.expression)
        if not isinstance(value, (ObjectValue, MapValue)):
            advice = 'write matrix = { version = ["1", "2"] }'
            raise _problem(codes.MATRIX, "a matrix must be a map of lists", span, advice)
        axes: list[list[tuple[str, Value]]] = []
        count = 1
        for key, items in value.items.items():
            if not can_iterate(items):
                raise _problem(codes.MATRIX, f"{key} of the matrix must be a list", span, f"write {key} = [ … ]")
            axes.append([(key, item) for _, item in elements(items)])
            count *= len(axes[-1])
        if count > MAX_EXPANSIONS:
            message = f"the matrix of {definition.name} makes {count} targets; the limit is {MAX_EXPANSIONS}"
            raise _problem(codes.LIMIT, message, span, "split it, or leave out combinations")
        # `target` and `group` always mean the blocks, even where a matrix has such a key.
        return [
            scope.child({key: item for key, item in combination if key not in BLOCK_ROOTS})
            for combination in itertools.product(*axes)
        ]

    def _evaluated_name(self, expansion: Expansion, attribute: ast.Attribute) -> str:
        definition = expansion.definition
        span = definition.span_of(attribute.expression)
        value = Evaluator(definition.source, expansion.scope).value(attribute.expression)
        try:
            name = as_string(value)
        except ConversionError as error:
            raise _problem(codes.NAME, f"a name must be a string: {error}", span) from None
        check_name(name, span, definition.source.text[span.start : span.end])
        return name

    # -- attributes

    def evaluate_all(self) -> list[Diagnostic]:
        """Evaluate every attribute of every block."""
        problems: list[Diagnostic] = []
        for expansion in self._expansions:
            for attribute in expansion.definition.block.body.attributes:
                if attribute.name in expansion.schema:
                    try:
                        self._value(expansion, attribute)
                    except DefinitionError as error:
                        problems.extend(error.diagnostics)
            if expansion.definition.block.type == "group" and expansion.definition.attribute("targets") is None:
                definition = expansion.definition
                message = f"the group {expansion.name} has no targets"
                advice = "add targets = [ … ]"
                if definition.attribute("target") is not None:
                    advice = "the attribute is called targets, not target"
                problems.append(Diagnostic(codes.MISSING_ATTRIBUTE, message, definition.span, advice))
        return problems

    def _value(self, expansion: Expansion, attribute: ast.Attribute) -> Value:
        name, definition = attribute.name, expansion.definition
        known = expansion.values.get(name)
        if isinstance(known, tuple):
            raise DefinitionError(known)
        if known is not None:
            return known
        if name in expansion.in_progress:
            what = f"{definition.block.type}.{expansion.name}.{name}"
            message = f"{what} needs itself"
            raise _problem(codes.CYCLE, message, definition.span_of(attribute), "refer to something else")
        expansion.in_progress.add(name)
        try:
            value = Evaluator(definition.source, expansion.scope).value(attribute.expression)
            typed = typed_attribute(definition.source, attribute, value, expansion.schema[name])
        except EvaluationError as error:
            expansion.values[name] = error.diagnostics
            raise DefinitionError(error.diagnostics) from None
        except DefinitionError as error:
            expansion.values[name] = error.diagnostics
            raise
        finally:
            expansion.in_progress.discard(name)
        expansion.values[name] = typed
        return typed

    # -- references

    def reference(self, node: ast.Variable) -> Value:
        """The object that `target.app.args` starts from, with as much in it as the reference needs."""
        block_name = node.steps[0] if node.steps else None
        if not isinstance(block_name, ast.Attr):
            raise AccessError(f"{node.name} alone is no value", f"write {node.name}.NAME.ATTRIBUTE")
        expansions = self._named.get((node.name, block_name.name))
        if not expansions:
            near = nearest(block_name.name, [name for type_, name in self._named if type_ == node.name])
            advice = f"did you mean {near}?" if near else ""
            raise AccessError(f"there is no {node.name} {block_name.name}", advice)
        wanted = node.steps[1] if len(node.steps) > 1 else None
        only = wanted.name if isinstance(wanted, ast.Attr) else None
        for expansion in expansions:
            for attribute in expansion.definition.block.body.attributes:
                if attribute.name in expansion.schema and only in (None, attribute.name):
                    self._value(expansion, attribute)
        return ObjectValue({block_name.name: self._as_object(expansions[-1])})

    def _as_object(self, expansion: Expansion) -> Value:
        items: dict[str, Value] = {"name": expansion.name, "description": ""}
        for name, kind in expansion.schema.items():
            known = expansion.values.get(name)
            value = None if isinstance(known, tuple) else known
            if kind is Kind.ENTRIES and (value is not None or name not in LATER):
                items[name] = seen_entries(name, value)
            elif value is not None:
                items[name] = value
            elif name != "description" and name not in LATER:
                items[name] = Null(_UNSET.get(kind, STRING))
        return ObjectValue(items)

    # -- results

    def targets(self) -> tuple[TargetDefinition, ...]:
        return tuple(self._target(e) for e in self._expansions if e.definition.block.type == "target")

    def _target(self, expansion: Expansion) -> TargetDefinition:
        attributes: dict[str, AttributeValue] = {}
        spans: dict[str, Span] = {}
        for attribute in expansion.definition.block.body.attributes:
            value = expansion.values.get(attribute.name)
            if value is None or isinstance(value, (tuple, Null)):
                continue
            attributes[attribute.name] = to_plain(value)
            spans[attribute.name] = expansion.definition.span_of(attribute.expression)
        return TargetDefinition(expansion.name, attributes, spans, expansion.definition.span)

    def groups(self) -> tuple[GroupDefinition, ...]:
        """The groups that are written, the last of each name; then those that matrices make."""
        written: dict[str, GroupDefinition] = {}
        made: dict[str, list[str]] = {}
        places: dict[str, Span] = {}
        for expansion in self._expansions:
            definition = expansion.definition
            if definition.block.type == "group":
                targets = to_plain(_known(expansion, "targets"))
                description = to_plain(_known(expansion, "description"))
                names = tuple(str(t) for t in targets) if isinstance(targets, list) else ()
                written[expansion.name] = GroupDefinition(
                    expansion.name, names, description if isinstance(description, str) else "", definition.span
                )
            else:
                made.setdefault(definition.name, []).append(expansion.name)
                places.setdefault(definition.name, definition.span)
        matrices = [
            GroupDefinition(label, tuple(dict.fromkeys(names)), "", places[label], is_matrix=True)
            for label, names in made.items()
            if set(names) != {label}
        ]
        return (*written.values(), *matrices)


def _known(expansion: Expansion, name: str) -> Value:
    value = expansion.values.get(name)
    return Null() if value is None or isinstance(value, tuple) else value


def check_name(name: str, span: Span, written: str = "") -> None:
    """Raises DefinitionError if `name` cannot be the name of a target or group."""
    if _NAME.fullmatch(name):
        return
    bad = next((c for c in name if not _NAME.fullmatch(c)), "")
    shown = printable(name)
    message = (
        f'the name "{shown}" has a character that names cannot have: "{printable(bad)}"'
        if bad
        else "a name must not be empty"
    )
    if written and bad:
        advice = _mended(written, bad)
    else:
        advice = "names are made of letters, digits, _ and -"
    raise _problem(codes.NAME, message, span, advice)


def _mended(written: str, bad: str) -> str:
    """How to write a computed name without the bad character: replace(…) around what it came from."""
    inner = re.fullmatch(r'"([^"$]*)\$\{\s*([\w.-]+)\s*\}([^"$]*)"', written)
    if inner and bad not in inner.group(1) + inner.group(3):
        return f'write "{inner.group(1)}${{replace({inner.group(2)}, "{bad}", "-")}}{inner.group(3)}"'
    return f'put replace(…, "{bad}", "-") around the value it comes from, or sanitize(…) around the whole name'


def _problem(code: str, message: str, span: Span, advice: str = "") -> DefinitionError:
    return DefinitionError((Diagnostic(code, message, span, advice),))
