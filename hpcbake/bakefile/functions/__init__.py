"""The standard functions of the bake language, by the names that buildx gives them.

Modules are loaded when one of their functions is first called: most files use five of a hundred.
"""

from __future__ import annotations

from importlib import import_module

from hpcbake.bakefile.functions.function import Function, FunctionError, Parameter
from hpcbake.bakefile.types import ANY, NUMBER, STRING, ListType, SetType, Type

#: module → the functions it holds.
_MODULES: dict[str, str] = {
    "general": "and can coalesce convert equal not notequal or try",
    "numbers": (
        "absolute add ceil divide floor greaterthan greaterthanorequalto int lessthan lessthanorequalto log max min "
        "modulo multiply negate parseint pow range signum subtract"
    ),
    "strings": (
        "basename byteslen bytesslice chomp dirname indent join lower replace reverse sanitize sort split strlen "
        "substr title trim trimprefix trimspace trimsuffix upper"
    ),
    "regexes": "regex regex_replace regexall",
    "collections": (
        "chunklist coalescelist compact concat contains distinct element flatten hasindex index indexof keys length "
        "lookup merge reverselist slice values zipmap"
    ),
    "sets": "sethaselement setintersection setproduct setsubtract setsymmetricdifference setunion",
    "formatting": "format formatlist",
    "dates": "formatdate formattimestamp timeadd timestamp unixtimestampparse",
    "encoding": "base64decode base64encode csvdecode jsondecode jsonencode urlencode",
    "digests": "bcrypt md5 rsadecrypt sha1 sha256 sha512 uuidv4 uuidv5",
    "addresses": "cidrhost cidrnetmask cidrsubnet cidrsubnets",
    "versions": "homedir semvercmp",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

#: Every standard function.
NAMES: frozenset[str] = frozenset(_MODULE_OF)

#: What some functions give whatever they are given: known even where an argument is not.
_RESULTS: dict[str, Type] = {
    name: type_
    for type_, names in (
        (
            NUMBER,
            "absolute add byteslen ceil divide floor int length log max min modulo multiply negate pow signum strlen "
            "subtract",
        ),
        (ListType(STRING), "cidrsubnets compact sort split"),
        (ListType(NUMBER), "range"),
        (ListType(ANY), "chunklist distinct regexall"),
        (SetType(ANY), "setintersection setsubtract setsymmetricdifference setunion"),
    )
    for name in names.split()
}


def result_type(name: str) -> Type:
    """The type of what the function of this name gives, or ANY where it depends on the arguments."""
    return _RESULTS.get(name, ANY)


def find_function(name: str) -> Function | None:
    """The standard function of this name, or None."""
    module = _MODULE_OF.get(name)
    if module is None:
        return None
    functions: dict[str, Function] = import_module(f"hpcbake.bakefile.functions.{module}").FUNCTIONS
    return functions[name]


__all__ = ["NAMES", "Function", "FunctionError", "Parameter", "find_function", "result_type"]
