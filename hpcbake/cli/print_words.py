"""The words of `hpcbake print`: its options as a table, and a reader of plain command lines.

Loading click takes longer than resolving a bake file. A command line whose every word is understood here needs no
click; for every other one (`--help`, a mistake, a spelling that only click knows) the verb is click's, made from this
very table.
"""

from __future__ import annotations

from collections.abc import Sequence

#: What an option takes: a text, several texts, or true and false as Go programs spell flags.
TEXT, TEXTS, FLAG = "text", "texts", "flag"

Words = dict[str, object]


class Option:
    """One option: the parameter it fills, how it is spelt, what it takes, and its help."""

    __slots__ = ("help", "kind", "metavar", "name", "spellings")

    def __init__(self, name: str, spellings: Sequence[str], kind: str, metavar: str | None, text: str) -> None:
        self.name = name
        self.spellings = tuple(spellings)
        self.kind = kind
        self.metavar = metavar
        self.help = text


OPTIONS = (
    Option("files", ("-f", "--file"), TEXTS, "FILE", "Bake file; repeatable; - is standard input."),
    Option("overrides", ("--set",), TEXTS, "PATTERN.KEY=VALUE", "Override a value; += appends."),
    Option("variables", ("--var",), TEXTS, "NAME=VALUE", "Set a variable of the bake file."),
    Option("push", ("--push",), FLAG, None, "Push every image output."),
    Option("load", ("--load",), FLAG, None, "Load every image into docker."),
    Option("no_cache", ("--no-cache",), FLAG, None, "Build without cache."),
    Option("pull", ("--pull",), FLAG, None, "Always pull base images."),
    Option("sbom", ("--sbom",), TEXT, "VALUE", "Shorthand for --set '*.attest=type=sbom'."),
    Option("provenance", ("--provenance",), TEXT, "VALUE", "Shorthand for --set '*.attest=type=provenance'."),
    Option("call", ("--call",), TEXT, "METHOD", "Do this instead of building: check, outline or targets."),
    Option("check", ("--check",), FLAG, None, "Shorthand for --call=check."),
    Option("print_", ("--print",), FLAG, None, "What this verb does anyway."),
    Option("list_", ("--list",), TEXT, "KIND", "List targets or variables; type=targets,format=json."),
)
_BY_SPELLING = {spelling: option for option in OPTIONS for spelling in option.spellings}
#: Flags that may stand alone or carry `=true` / `=false`, as Go programs take them.
GO_FLAGS = frozenset(option.spellings[0] for option in OPTIONS if option.kind == FLAG)


def read_words(arguments: Sequence[str]) -> Words | None:
    """The parameters of the verb for these arguments; None if there is any that click should have a look at."""
    texts: dict[str, list[str]] = {option.name: [] for option in OPTIONS if option.kind == TEXTS}
    words: Words = {option.name: None for option in OPTIONS if option.kind != TEXTS}
    targets: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            targets.extend(waiting)
            break
        if not argument.startswith("-"):
            targets.append(argument)
            continue
        spelling, equals, value = argument.partition("=")
        option = _BY_SPELLING.get(spelling)
        if option is None or (equals and not spelling.startswith("--")):
            return None
        following = next(waiting, None) if option.kind != FLAG and not equals else None
        taken = _flag_value(equals, value) if option.kind == FLAG else _text_value(equals, value, following)
        if taken is None:
            return None
        if option.kind == TEXTS:
            texts[option.name].append(str(taken))
        else:
            words[option.name] = taken
    return {"targets": tuple(targets), **{name: tuple(found) for name, found in texts.items()}, **words}


def _flag_value(equals: str, value: str) -> bool | None:
    return {"true": True, "false": False}.get(value) if equals else True


def _text_value(equals: str, value: str, following: str | None) -> str | None:
    if equals:
        return value
    return None if following is None or (following.startswith("-") and following != "-") else following
