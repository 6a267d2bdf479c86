"""From tokens to nodes: the driver of the parse table, and what each rule of the grammar builds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from hpcbake.bakefile import ast
from hpcbake.bakefile.grammar import ParseTable
from hpcbake.bakefile.template import Directive, Interpolation, build_template
from hpcbake.bakefile.tokens import Token


class UnexpectedTokenError(Exception):
    """The grammar has no place for `token`; `expected` are the token types it has places for."""

    def __init__(self, token: Token, previous: Token | None, expected: Sequence[str]) -> None:
        super().__init__(token.type)
        self.token = token
        self.previous = previous
        self.expected = frozenset(expected)


class _Chain:
    """An Operation that may still grow to the right."""

    __slots__ = ("first", "level", "rest")

    def __init__(self, first: ast.Node, level: str) -> None:
        self.first = first
        self.level = level
        self.rest: list[tuple[str, ast.Node]] = []


class _Inline(list[Any]):
    """The children of a repetition, to be spliced into the rule that holds it."""


def build_expression(table: ParseTable, tokens: Sequence[Token], end: Token) -> ast.Node:
    """Parse the tokens of one expression. Raises UnexpectedTokenError; `end` stands for whatever follows."""
    states, rules = table.states, table.rules
    state_stack, value_stack = [table.start], []
    previous: Token | None = None
    for token in (*tokens, end):
        type_ = "$END" if token is end else token.type
        while True:
            action = states[state_stack[-1]].get(type_)
            if action is None:
                raise UnexpectedTokenError(
                    token, previous, [s for s in states[state_stack[-1]] if s.isupper() or s == "$END"]
                )
            if action >= 0:
                state_stack.append(action)
                value_stack.append(token)
                break
            origin, size, name, transparent = rules[-1 - action]
            if size == 1 and transparent:  # most reductions: an operand climbs the ladder of precedence
                state_stack.pop()
            else:
                children = value_stack[len(value_stack) - size :] if size else []
                if size:
                    del value_stack[-size:]
                    del state_stack[-size:]
                value_stack.append(_reduce(name, children))
            state_stack.append(states[state_stack[-1]][origin])
            if token is end and state_stack[-1] == table.end:
                return _finished(value_stack[-1])
        previous = token
    raise AssertionError("an expression ends with its end")


def _reduce(action: str, children: list[Any]) -> Any:
    if not action and children and type(children[0]) is _Inline:
        # A repetition grows at its end: copying it for each element would make long lists quadratic.
        grown = children[0]
        for child in children[1:]:
            grown.extend(child if type(child) is _Inline else (child,))
        return grown
    if any(type(child) is _Inline for child in children):
        children = [x for child in children for x in (child if type(child) is _Inline else (child,))]
    if not action:
        return _Inline(children)
    return _ACTIONS[action](children)


def _finished(node: Any) -> Any:
    if type(node) is not _Chain:
        return node
    return ast.Operation(node.first, tuple(node.rest), node.first.start, node.rest[-1][1].end)


def _keyword(children: list[Any]) -> Any:
    """The grammar takes `for` as an object key; HCL takes it for the beginning of a for expression."""
    raise UnexpectedTokenError(children[0], None, ("NAME",))


def _only(children: list[Any]) -> Any:
    return children[0]


def _expression_term(children: list[Any]) -> ast.Node:
    if len(children) == 1:
        child = children[0]
        if isinstance(child, Token):
            return ast.Variable(child.value, (), child.start, child.end)
        return child
    opening, inner, closing = children
    return ast.Parens(_finished(inner), opening.start, closing.end)


_LITERAL_VALUES: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def _literal_value(children: list[Any]) -> ast.Literal:
    token = children[0]
    return ast.Literal(_LITERAL_VALUES[token.value], token.start, token.end)


def _number(children: list[Any]) -> ast.NumberLiteral:
    token = children[0]
    return ast.NumberLiteral(token.value, token.start, token.end)


def _binary(children: list[Any]) -> _Chain:
    left, (operator, level, right) = children
    if type(left) is _Chain and left.level == level:
        chain = left
    else:
        chain = _Chain(_finished(left), level)
    chain.rest.append((operator, right))
    return chain


_LEVELS = {
    "||": "or", "&&": "and", "==": "eq", "!=": "eq", "<": "rel", ">": "rel", "<=": "rel", ">=": "rel",
    "+": "add", "-": "add", "*": "mul", "/": "mul", "%": "mul",
}  # fmt: skip


def _binary_term(children: list[Any]) -> tuple[str, str, ast.Node]:
    operator, right = children
    return operator.value, _LEVELS[operator.value], _finished(right)


def _unary(children: list[Any]) -> ast.Node:
    token, node = children
    for operator, start in reversed(token.unary or [(token.value, token.start)]):
        node = ast.Unary(operator, node, start, node.end)
    return node


def _conditional(children: list[Any]) -> ast.Conditional:
    condition, _, yes, _, no = map(_finished, children)
    return ast.Conditional(condition, yes, no, condition.start, no.end)


def _tuple(children: list[Any]) -> ast.TupleNode:
    items = tuple(_finished(c) for c in children if not isinstance(c, Token))
    return ast.TupleNode(items, children[0].start, children[-1].end)


class _Element(tuple[Any, ...]):
    """One `key = value` of an object."""


def _object_element(children: list[Any]) -> _Element:
    key, _, value = children
    return _Element((_finished(key), _finished(value)))


def _object(children: list[Any]) -> ast.ObjectNode:
    for before, after in itertools.pairwise(children):
        if isinstance(before, _Element) and isinstance(after, _Element):
            key = after[0]
            misplaced = Token("OBJECT_ELEMENT", key.start, key.end, "")
            raise UnexpectedTokenError(misplaced, None, ("COMMA",))
    items = tuple((c[0], c[1]) for c in children if isinstance(c, _Element))
    return ast.ObjectNode(items, children[0].start, children[-1].end)


class _Arguments(tuple[Any, ...]):
    """The arguments of a call, and whether the last one is expanded."""


def _arguments(children: list[Any]) -> _Arguments:
    expand = isinstance(children[-1], Token) and children[-1].type == "ELLIPSIS"
    return _Arguments((tuple(_finished(c) for c in children if not isinstance(c, Token)), expand))


def _call(children: list[Any]) -> ast.Call:
    name, closing = children[0], children[-1]
    args, expand = children[2] if isinstance(children[2], _Arguments) else ((), False)
    return ast.Call(name.value, args, expand, name.end, closing.start, name.start, closing.end)


class _Splat(tuple[Any, ...]):
    """A splat marker with the steps written after it."""


def _attribute_step(children: list[Any]) -> ast.Attr:
    dot, name = children
    if isinstance(name, ast.Literal):
        word = {True: "true", False: "false", None: "null"}[name.value]  # type: ignore[index]
        return ast.Attr(word, dot.start, name.end)
    return ast.Attr(name.value, dot.start, name.end)


def _short_index(children: list[Any]) -> ast.Key:
    dot, number = children
    return ast.Key(ast.NumberLiteral(number.value, number.start, number.end), dot.start, number.end)


def _bracket_index(children: list[Any]) -> ast.Key:
    opening, key, closing = children
    return ast.Key(_finished(key), opening.start, closing.end)


def _splat_marker(children: list[Any]) -> _Splat:
    return _Splat(children)


def _step(children: list[Any]) -> Any:
    source, step = children
    return _apply(source, step)


def _apply(source: Any, step: Any) -> ast.Node:
    """Attach a step to a node; inside a full splat it belongs to the splat's element."""
    if isinstance(step, _Splat):
        return _apply_splat(source, step)
    if isinstance(source, ast.Splat) and _is_full(source):
        each = _apply(source.each, step)
        return source.altered(each=each, end=each.end)
    if isinstance(step, ast.Key) and not _is_literal_key(step.key):
        return ast.Index(source, step.key, step.start, source.start, step.end)
    if isinstance(source, (ast.Variable, ast.Traversal)):
        return source.altered(steps=(*source.steps, step), end=step.end)
    return ast.Traversal(source, (step,), source.start, step.end)


def _is_full(splat: ast.Splat) -> bool:
    return _item(splat.each).full


def _item(node: Any) -> ast.SplatItem:
    while not isinstance(node, ast.SplatItem):
        node = node[0]
    return node


def _is_literal_key(key: ast.Node) -> bool:
    if isinstance(key, (ast.NumberLiteral, ast.Literal)):
        return True
    return isinstance(key, ast.Template) and len(key.parts) == 1 and isinstance(key.parts[0], ast.Literal)


def _apply_splat(source: Any, splat: _Splat) -> ast.Node:
    marker, *steps = splat
    full = marker.type == "FULL_SPLAT_START"
    if isinstance(source, ast.Splat) and not full and not _is_full(source):
        raise UnexpectedTokenError(marker, None, ("NAME",))
    if isinstance(source, ast.Splat) and _is_full(source):
        each = _apply_splat(source.each, splat)
        return source.altered(each=each, end=each.end)
    result: ast.Node = ast.Splat(source, ast.SplatItem(full, marker.start, marker.end), source.start, marker.end)
    for number, step in enumerate(steps):
        if full:
            result = _apply(result, step)
        elif isinstance(step, ast.Attr) or _is_short(step):
            assert isinstance(result, ast.Splat)
            each = _apply(result.each, step)
            result = result.altered(each=each, end=each.end)
        else:
            for later in steps[number:]:
                result = _apply(result, later)
            break
    return result


def _is_short(step: ast.Key) -> bool:
    return bool(step.start + 1 == step.key.start and step.end == step.key.end)


def _string(children: list[Any]) -> ast.Node:
    opening, *parts, closing = children
    return build_template(parts, opening, closing)


def _interpolation(children: list[Any]) -> Interpolation:
    opening, inner, closing = children
    return Interpolation(_finished(inner), opening.strip, closing.value == "~}", opening.start, closing.end)


def _directive(children: list[Any]) -> Directive:
    """`%{ WORD … }`: for `if` its condition, for `for` its names and collection."""
    opening, word, *rest, closing = children
    names = tuple(t.value for t in rest if isinstance(t, Token) and t.type == "NAME")
    nodes = [_finished(n) for n in rest if not isinstance(n, Token)]
    return Directive(
        word.value,
        names,
        nodes[0] if nodes else None,
        opening.strip,
        closing.value == "~}",
        opening.start,
        closing.end,
    )


class _ForHeader(tuple[Any, ...]):
    """Key name, value name and collection of a for expression."""


def _for_intro(children: list[Any]) -> _ForHeader:
    names = [t.value for t in children if isinstance(t, Token) and t.type == "NAME"]
    collection = next(_finished(c) for c in children if not isinstance(c, Token))
    return _ForHeader((names[0] if len(names) == 2 else "", names[-1], collection))


class _ForCondition(tuple[Any, ...]):
    """The `if` clause of a for expression."""


def _for_condition(children: list[Any]) -> _ForCondition:
    return _ForCondition((_finished(children[1]),))


def _for_expression(children: list[Any]) -> ast.For:
    key_name, value_name, collection = children[1]
    group = any(isinstance(c, Token) and c.type == "ELLIPSIS" for c in children)
    nodes = [_finished(c) for c in children[2:] if not isinstance(c, (Token, _ForCondition))]
    condition = next((c[0] for c in children if isinstance(c, _ForCondition)), None)
    key = nodes[0] if len(nodes) == 2 else None
    return ast.For(
        key_name, value_name, collection, key, nodes[-1], condition, group, children[0].start, children[-1].end
    )


_ACTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "keyword": _keyword,
    "identifier": _only,
    "string_part": _only,
    "object_elem_key": _only,
    "binary_operator": _only,
    "expr_term": _expression_term,
    "literal_value": _literal_value,
    "int_lit": _number,
    "float_lit": _number,
    "binary_op": _binary,
    "binary_term": _binary_term,
    "unary_op": _unary,
    "conditional": _conditional,
    "tuple": _tuple,
    "object": _object,
    "object_elem": _object_element,
    "function_call": _call,
    "arguments": _arguments,
    "index_expr_term": _step,
    "get_attr_expr_term": _step,
    "attr_splat_expr_term": _step,
    "full_splat_expr_term": _step,
    "braces_index": _bracket_index,
    "short_index": _short_index,
    "get_attr": _attribute_step,
    "attr_splat": _splat_marker,
    "full_splat": _splat_marker,
    "string": _string,
    "interpolation": _interpolation,
    "template_if_start": _directive,
    "template_else": _directive,
    "template_endif": _directive,
    "template_for_start": _directive,
    "template_endfor": _directive,
    "for_tuple_expr": _for_expression,
    "for_object_expr": _for_expression,
    "for_intro": _for_intro,
    "for_cond": _for_condition,
}
