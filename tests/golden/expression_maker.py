# ruff: noqa: E501  (tables of operands, one kind a row)
"""Random expressions of the bake language: mostly sensible, sometimes of the wrong type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

#: What the expressions may refer to, by kind.
NAMES: Mapping[str, tuple[str, ...]] = {
    "string": ("word", "empty", "path", "person.name", 'person["name"]', "words[0]", "people[1].name"),
    "number": ("count", "half", "person.age", "numbers[1]", "people[0].age"),
    "bool": ("yes", "person.active"),
    "list": ("words", "numbers", "nested", "people[*].name", "people.*.age", "none", "[for p in people : p.age]"),
    "map": ("labels", "person", "empty_map"),
    "people": ("people", "[person]", "concat(people, [person])"),
}
DEFINITIONS = """\
word = "hello"
empty = ""
path = "/usr/local/lib/libc.so.6"
count = 5
half = 0.5
yes = true
words = ["alpha", "beta", "gamma"]
numbers = [3, 1, 2]
nested = [["a"], ["b", "c"], []]
none = []
labels = { one = "1", two = "2", "a.b" = "x" }
empty_map = {}
person = { name = "Ada", age = 36, active = true, tags = ["x", "y"] }
people = [{ name = "Ada", age = 36 }, { name = "Bob", age = null }]
"""
_STRINGS = (
    '""', '"a"', '"abc"', '"Hello, World"', '"é"', '"e\\u0301"', '"a,b,,c"', '"  x "', '"1"', '"1.50"', '"true"',
    '"2024-02-29T10:00:00Z"', '"2024-01-15T23:59:59+02:00"', '"linux/amd64"', '"a.b-c_d"', '"l1\\nl2\\n"', '"日本語"',
    '"%d"', '"$${x}"', '"%%{y}"', '"v1.2.3-rc.1"', '"[1,2,{\\"a\\":null}]"', '"10.1.0.0/16"', '"😀x"', '"\\t\\"q\\"\\\\"',
    '"a-b-a-b"', '"YYYY-MM-DD"', '"1h30m"', '"aGVsbG8="', '"ß İ ǆ"', '"<&>"', '"(\\\\d+)"', '"null"', '"-3"', '"0x1f"',
)  # fmt: skip
_NUMBERS = (
    "0", "1", "2", "3", "7", "10", "100", "-1", "-2", "0.1", "1.5", "2.50", "-0.75", "1e3", "1e-3", "12345678901234567890",
    "0.30000000000000004", "1e20", "1e21", "1e-7", "4294967296", "255", "64", "3.999999999999999999", "(1/3)", "(2/3*3)",
)  # fmt: skip
#: name: result, then the kinds of the arguments (`?` may be left out, `*` any number of times).
_FUNCTIONS = """
absolute: number number|add: number number number|and: bool bool bool|base64decode: string string
base64encode: string string|basename: string string|byteslen: number string|ceil: number number
chomp: string string|chunklist: list list number|cidrhost: string string number|cidrnetmask: string string
cidrsubnet: string string number number|cidrsubnets: list string number*|coalesce: any any*|coalescelist: list list*
compact: list list|concat: list list list*|contains: bool list any|csvdecode: list string|dirname: string string
distinct: list list|divide: number number number|element: any list number|equal: bool any any
flatten: list list|floor: number number|format: string string any*|formatdate: string string string
formatlist: list string list*|greaterthan: bool number number|greaterthanorequalto: bool number number
hasindex: bool list any|indent: string number string|index: any list number|indexof: number list any
int: number number|join: string string list*|jsondecode: any string|jsonencode: string any|keys: list map
length: number list|lessthan: bool number number|lessthanorequalto: bool number number|log: number number number
lookup: any map string any|lower: string string|max: number number number*|md5: string string|merge: map map map*
min: number number number*|modulo: number number number|multiply: number number number|negate: number number
not: bool bool|notequal: bool any any|or: bool bool bool|parseint: number string number|pow: number number number
range: list number number?|regex: any string string|regex_replace: string string string string
regexall: list string string|replace: string string string string|reverse: string string|reverselist: list list
sanitize: string string|sethaselement: bool list any|setintersection: list list list
setproduct: list list list|setsubtract: list list list|setsymmetricdifference: list list list|setunion: list list list
sha1: string string|sha256: string string|sha512: string string|signum: number number|slice: list list number number
sort: list list|split: list string string|strlen: number string|substr: string string number number
subtract: number number number|timeadd: string string string|title: string string|trim: string string string
trimprefix: string string string|trimspace: string string|trimsuffix: string string string|upper: string string
urlencode: string string|uuidv5: string string string|values: list map|zipmap: map list list|can: bool any
try: any any any|basename: string string|substr: string string number number|replace: string string string string
"""
_TYPES = (
    "string", "number", "bool", "any", "list(string)", "list(number)", "set(string)", "map(string)", "map(number)",
    "list(any)", "tuple([string,number])", "object({name=string})", "object({name=string,age=number})",
    "list(object({name=string}))", "set(number)", "list(list(string))",
)  # fmt: skip
_KINDS = ("string", "number", "bool", "list", "map")


def _signatures() -> dict[str, list[tuple[str, list[str]]]]:
    """Functions by the kind of their result."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for entry in _FUNCTIONS.replace("\n", "|").split("|"):
        if entry:
            name, _, kinds = entry.partition(": ")
            result, *parameters = kinds.split()
            for kind in _KINDS if result == "any" else (result,):
                found.setdefault(kind, []).append((name, parameters))
    return found


class ExpressionMaker:
    """Makes expressions out of one source of randomness."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._signatures = _signatures()
        self._local: list[tuple[str, str]] = []

    def any(self, depth: int) -> str:
        """An expression of any kind, at most `depth` levels deep."""
        return self.of(self._random.choice(_KINDS), depth)

    def of(self, kind: str, depth: int) -> str:
        """An expression that should be of `kind`; one in twenty is not."""
        pick = self._random.random()
        if kind == "any" or pick < 0.05:
            kind = self._random.choice(_KINDS)
        if depth <= 0 or pick > 0.93:
            return self._leaf(kind)
        makers: list[Callable[[str, int], str]] = [self._call, self._call, self._call, self._special, self._special]
        makers += [self._conditional, self._leaf_of, self._access]
        return self._random.choice(makers)(kind, depth - 1)

    # -- leaves

    def _leaf_of(self, kind: str, _depth: int) -> str:
        return self._leaf(kind)

    def _leaf(self, kind: str) -> str:
        random = self._random
        local = [name for name, of in self._local if of in (kind, "any")]
        if local and random.random() < 0.5:
            return random.choice(local)
        if random.random() < 0.04:
            return "null"
        if random.random() < 0.35:
            return random.choice(NAMES[kind])
        if kind == "string":
            return random.choice(_STRINGS)
        if kind == "number":
            return random.choice(_NUMBERS)
        if kind == "bool":
            return random.choice(("true", "false"))
        if kind == "list":
            return f"[{', '.join(self._leaf(random.choice(('string', 'number'))) for _ in range(random.randrange(4)))}]"
        keys = random.sample(("a", "b", "name", '"x y"', "(word)", '"${word}2"', "1"), random.randrange(4))
        pairs = [f"{key} {random.choice('=:')} {self._leaf(random.choice(('string', 'number')))}" for key in keys]
        return "{" + random.choice((", ", ",")).join(pairs) + "}"

    # -- calls

    def _call(self, kind: str, depth: int) -> str:
        if self._random.random() < 0.06:
            return f"convert({self.any(depth)}, {self._random.choice(_TYPES)})"
        name, parameters = self._random.choice(self._signatures[kind])
        arguments: list[str] = []
        for parameter in parameters:
            times = 1
            if parameter.endswith("*"):
                times = self._random.randrange(3)
            elif parameter.endswith("?"):
                times = self._random.randrange(2)
            arguments += [self.of(parameter.rstrip("*?"), depth) for _ in range(times)]
        if arguments and self._random.random() < 0.05:
            return f"{name}({', '.join([*arguments[:-1], self.of('list', depth)])}...)"
        return f"{name}({', '.join(arguments)})"

    # -- conditionals and access

    def _conditional(self, kind: str, depth: int) -> str:
        return f"({self.of('bool', depth)} ? {self.of(kind, depth)} : {self.of(kind, depth)})"

    def _access(self, kind: str, depth: int) -> str:
        forms = (
            lambda: f"{self.of('list', depth)}[{self.of('number', depth)}]",
            lambda: f"{self.of('map', depth)}[{self.of('string', depth)}]",
            lambda: f"{self.of('map', depth)}.name",
            lambda: f"{self.of('list', depth)}.{self._random.randrange(3)}",
            lambda: f"{self._random.choice(NAMES['people'])}[*].{self._random.choice(('name', 'age', 'tags'))}",
            lambda: f"{self.of('list', depth)}[*]",
            lambda: f"({self.of(kind, depth)})",
        )
        return self._random.choice(forms)()

    # -- what only one kind has

    def _special(self, kind: str, depth: int) -> str:
        maker = {"string": self._template, "number": self._sum, "bool": self._test, "list": self._loop}.get(kind)
        return self._object_loop(depth) if maker is None else maker(depth)

    def _sum(self, depth: int) -> str:
        if self._random.random() < 0.15:
            return f"-{self.of('number', depth)}"
        return f"{self.of('number', depth)} {self._random.choice('+-*/%')} {self.of('number', depth)}"

    def _test(self, depth: int) -> str:
        operator = self._random.choice(("<", ">", "<=", ">=", "==", "!=", "&&", "||", "!"))
        if operator == "!":
            return f"!{self.of('bool', depth)}"
        kind = "bool" if operator in ("&&", "||") else "any" if operator in ("==", "!=") else "number"
        return f"{self.of(kind, depth)} {operator} {self.of(kind, depth)}"

    def _template(self, depth: int) -> str:
        pieces = [self._piece(depth) for _ in range(self._random.randrange(1, 4))]
        return f'"{"".join(pieces)}"'

    def _piece(self, depth: int) -> str:
        random = self._random
        left, right = random.choice(("", "", "~")), random.choice(("", "", "~"))
        form = random.randrange(5)
        if form == 0:
            return random.choice(("text", " ", " a b ", "$$", "%%", "\\n", "é", "$", "%", "-", "/", "{", "}"))
        if form < 4:
            kind = random.choice(("string", "string", "number", "any"))
            return f"${{{left} {self.of(kind, depth)} {right}}}"
        if random.random() < 0.5:
            test = self.of("bool", depth)
            other = f"%{{{left}else{right}}} no " if random.random() < 0.5 else ""
            return f"%{{{left} if {test} {right}}} yes {other}%{{{left} endif {right}}}"
        return f"%{{{left}for i in {self.of('list', depth)}{right}}} ${{i}} %{{ endfor }}"

    def _loop(self, depth: int) -> str:
        random = self._random
        if random.random() < 0.4:
            return f"[{', '.join(self.any(depth) for _ in range(random.randrange(4)))}]"
        names, source = ("v", "list") if random.random() < 0.6 else ("k, v", random.choice(("map", "list")))
        collection = self.of(source, depth)
        known = len(self._local)
        self._local += [("v", "any"), ("k", "string")] if "k" in names else [("v", "any")]
        condition = f" if {self.of('bool', depth)}" if random.random() < 0.4 else ""
        body = f"[for {names} in {collection} : {self.any(depth)}{condition}]"
        del self._local[known:]
        return body

    def _object_loop(self, depth: int) -> str:
        random = self._random
        if random.random() < 0.5:
            keys = random.sample(("a", "b", "c", '"d e"', "name", "(word)"), random.randrange(4))
            return "{" + ", ".join(f"{key} = {self.any(depth)}" for key in keys) + "}"
        collection = self.of(random.choice(("map", "list")), depth)
        known = len(self._local)
        self._local += [("v", "any"), ("k", "string")]
        key = random.choice(("k", "v", '"x${k}"', self.of("string", depth)))
        group = random.choice(("", "..."))
        condition = f" if {self.of('bool', depth)}" if random.random() < 0.3 else ""
        body = f"{{for k, v in {collection} : {key} => {self.any(depth)}{group}{condition}}}"
        del self._local[known:]
        return body
