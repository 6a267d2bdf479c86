"""The syntax tree of a bake file: small frozen nodes that know where they were written.

`start` and `end` are character offsets into the source file. Nothing here evaluates anything, and nothing here
knows how the text was parsed; `encode` and `decode` turn a tree into plain JSON and back, for the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from hpcbake.model.record import dataclass_transform

if TYPE_CHECKING:
    from typing_extensions import Self

#: Any of the expression classes below. Not a union: mypy never finishes with tuples that hold each other.
Node = Any
#: Attr or Key.
Step = Any


@dataclass_transform(frozen_default=True)
class SyntaxNode(tuple[Any, ...]):
    """A tuple with names for its parts: a hundred thousand of them are made for a large file."""

    if TYPE_CHECKING:
        _fields: ClassVar[tuple[str, ...]]
    else:

        def __init_subclass__(cls) -> None:
            cls._fields = tuple(cls.__annotations__)
            for place, name in enumerate(cls._fields):
                setattr(cls, name, property(itemgetter(place)))

        def __new__(cls, *parts: object) -> SyntaxNode:
            return tuple.__new__(cls, parts)

    def altered(self, **parts: object) -> Self:
        """This node with some parts replaced."""
        make: Callable[..., Self] = type(self)
        return make(*[parts.get(name, part) for name, part in zip(self._fields, self, strict=True)])


class Literal(SyntaxNode):
    """`null`, `true`, `false`, or a piece of literal text inside a template (already unescaped)."""

    value: bool | str | None
    start: int
    end: int


class NumberLiteral(SyntaxNode):
    """A number as written; its value is exact, so the text is kept."""

    text: str
    start: int
    end: int


class Template(SyntaxNode):
    """A quoted string or heredoc: its parts are converted to strings and joined."""

    parts: tuple[Node, ...]
    start: int
    end: int


class Wrapped(SyntaxNode):
    """`"${x}"`: a template of one interpolation, which keeps the type of x."""

    inner: Node
    start: int
    end: int


class Joined(SyntaxNode):
    """A `%{ for }` directive: the results of the loop joined into one string."""

    loop: Any
    start: int
    end: int


class Parens(SyntaxNode):
    """An expression in parentheses; they matter for object keys and for spans."""

    inner: Node
    start: int
    end: int


class Attr(SyntaxNode):
    """One `.name` of a traversal."""

    name: str
    start: int
    end: int


class Key(SyntaxNode):
    """One `[0]`, `["k"]` or `.0` of a traversal, with a literal key."""

    key: Node
    start: int
    end: int


class Variable(SyntaxNode):
    """A name, and the literal steps taken from it (`target.app.args["V"]`)."""

    name: str
    steps: tuple[Step, ...]
    start: int
    end: int


class Traversal(SyntaxNode):
    """Literal steps taken from any other expression."""

    source: Node
    steps: tuple[Step, ...]
    start: int
    end: int


class Index(SyntaxNode):
    """`collection[key]` with a computed key; `bracket` is where `[` stands."""

    collection: Node
    key: Node
    bracket: int
    start: int
    end: int


class SplatItem(SyntaxNode):
    """Inside a splat: the element that is being visited. `full` tells `[*]` from `.*`."""

    full: bool
    start: int
    end: int


class Splat(SyntaxNode):
    """`source[*].each` or `source.*.each`; `each` is written in terms of SplatItem."""

    source: Node
    each: Node
    start: int
    end: int


class Call(SyntaxNode):
    """A function call; `expand` is the trailing `...`; `name_end` and `close` bound name and `)`."""

    name: str
    args: tuple[Node, ...]
    expand: bool
    name_end: int
    close: int
    start: int
    end: int


class Conditional(SyntaxNode):
    """`condition ? yes : no`, and the `%{ if }` directive."""

    condition: Node
    yes: Node
    no: Node
    start: int
    end: int


class Operation(SyntaxNode):
    """Operators of one precedence level, applied from left to right: `first op operand op operand …`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]
    start: int
    end: int


class Unary(SyntaxNode):
    """`-x` or `!x`."""

    operator: str
    operand: Node
    start: int
    end: int


class TupleNode(SyntaxNode):
    """`[a, b]`."""

    items: tuple[Node, ...]
    start: int
    end: int


class ObjectNode(SyntaxNode):
    """`{ key = value }`. A bare name as key is a Variable without steps and means its own name."""

    items: tuple[tuple[Node, Node], ...]
    start: int
    end: int


class For(SyntaxNode):
    """`[for k, v in collection : value if condition]`, or `{… key => value…}` when `key` is given."""

    key_name: str
    value_name: str
    collection: Node
    key: Node | None
    value: Node
    condition: Node | None
    group: bool
    start: int
    end: int


class Broken(SyntaxNode):
    """A template in a JSON file that cannot be read: an error if it is evaluated."""

    code: str
    message: str
    advice: str
    start: int
    end: int


class Attribute(SyntaxNode):
    """`name = expression` in a body; `start`..`name_end` is the name."""

    name: str
    expression: Node
    name_end: int
    start: int
    end: int


class Label(SyntaxNode):
    """One label of a block header."""

    text: str
    start: int
    end: int


class Block(SyntaxNode):
    """`type "label" { … }`. `header_end` is just past the opening brace, `type_end` just past the type."""

    type: str
    labels: tuple[Label, ...]
    body: Any
    type_end: int
    header_end: int
    start: int
    end: int


class Body(SyntaxNode):
    """What stands in a file or between the braces of a block, in the order it was written."""

    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...]


_CLASSES: tuple[type, ...] = (
    Literal,
    NumberLiteral,
    Template,
    Wrapped,
    Joined,
    Parens,
    Attr,
    Key,
    Variable,
    Traversal,
    Index,
    SplatItem,
    Splat,
    Call,
    Conditional,
    Operation,
    Unary,
    TupleNode,
    ObjectNode,
    For,
    Broken,
    Attribute,
    Label,
    Block,
    Body,
)
_TAGS = {cls: tag for tag, cls in enumerate(_CLASSES)}

Plain = None | bool | int | str | list["Plain"]


def encode(value: object) -> Plain:
    """A tree as plain lists: a node is `[tag, field, …]`, any other tuple `[-1, item, …]`."""
    if isinstance(value, tuple):
        return [_TAGS.get(type(value), -1), *map(encode, value)]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"{type(value).__name__} does not belong into a syntax tree")


def decode(plain: Plain) -> object:
    """The tree that `encode` was given. Raises ValueError, IndexError or TypeError if it is something else."""
    if not isinstance(plain, list):
        return plain
    tag = plain[0]
    if tag == -1:
        return tuple([decode(item) if type(item) is list else item for item in plain[1:]])
    if not isinstance(tag, int) or tag < 0:
        raise ValueError("not a syntax tree")
    cls: type = _CLASSES[tag]
    return cls(*[decode(item) if type(item) is list else item for item in plain[1:]])
