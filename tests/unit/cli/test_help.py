"""`--help`: every command with examples that parse, every option with words, the same words for the same thing."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import click
import pytest
from click.testing import CliRunner

from hpcbake.cli.examples import EXAMPLES
from hpcbake.cli.group import TASKS, hpcbake
from hpcbake.cli.main import VERBS
from tests.unit.catalogue.messages import remedies

#: Options that mean another thing in one verb, because another program's command line has them so.
OTHER_MEANING = {
    ("print", "--file"), ("print", "--set"), ("print", "--var"), ("print", "--pull"), ("print", "--print"),
    ("print", "--list"), ("print", "--check"), ("print", "--no-cache"), ("lint", "--file"), ("lint", "--set"),
    ("lint", "--var"),
}  # fmt: skip
#: Options that several verbs take, and must take alike: the common vocabulary.
COMMON = (
    *("--site-configs", "--keep-going-sites", "--target", "--builder", "--parallel-sites", "--way", "--dry-run"),
    *("--retry-failed", "--lock-wait", "--report", "--ssh-config", "--transport", "--plain-http", "--mirror"),
    *("--ca-file", "--html", "--github", "--prometheus"),
)


@cache
def commands() -> dict[str, click.Command]:
    """Every command by its words behind `hpcbake`."""
    return dict(_walk("", hpcbake))


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if name:
        yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for part in command.list_commands(context):
            found = command.get_command(context, part)
            assert found is not None
            yield from _walk(f"{name} {part}".strip(), found)


def options_of(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_every_verb_has_a_task() -> None:
    """`hpcbake --help` groups verbs by what one wants to do, the common path first."""
    assert sorted(verb for _, verbs in TASKS for verb in verbs) == sorted(VERBS)
    shown = CliRunner().invoke(hpcbake, ["--help"]).stdout
    places = [shown.index(f"{title}:") for title, _ in TASKS]
    assert places == sorted(places)
    assert "ship" in TASKS[0][1]
    assert "Examples:" in shown


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_shows_an_example(name: str) -> None:
    """Of its own, or from the table."""
    shown = CliRunner().invoke(hpcbake, [*name.split(), "--help"]).stdout
    assert re.search(rf"^ +(?:.* )?hpcbake {name.split()[0]}\b", shown, re.MULTILINE), (
        f"give {name} a line in hpcbake/cli/examples.py"
    )


@pytest.mark.parametrize("line", [line for rows in EXAMPLES.values() for line, _ in rows])
def test_an_example_is_a_command_line(line: str) -> None:
    """Read by the command's own parser, with its options' own types."""
    words = shlex.split(line)
    name = next(" ".join(words[:count]) for count in (2, 1) if " ".join(words[:count]) in commands())
    command = commands()[name]
    context = click.Context(command, info_name=name)
    values, rest, _ = command.make_parser(context).parse_args(words[len(name.split()) :])
    assert not rest or isinstance(command, click.Group)
    for parameter in command.params:
        given = values.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice) and isinstance(given, str):
            assert given in parameter.type.choices


def test_the_table_names_commands() -> None:
    """No examples of a verb that is gone."""
    assert set(EXAMPLES) <= set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_option_says_what_it_does(name: str) -> None:
    """A sentence with a full stop, no default that is written by hand twice."""
    for option in options_of(commands()[name]):
        assert option.hidden or (option.help and option.help[0].isupper() | (option.help[0] in "-`")), option.opts
        assert option.hidden or str(option.help).endswith("."), option.opts


@pytest.mark.parametrize("spelling", COMMON)
def test_a_common_option_is_the_same_in_every_verb(spelling: str) -> None:
    """Same words, same form of value, same default."""
    found = defaultdict(list)
    for name, command in commands().items():
        for option in options_of(command):
            if spelling in option.opts and (name, spelling) not in OTHER_MEANING:
                kind = type(option.type).__name__
                found[(option.help, option.metavar, option.multiple, option.is_flag, kind, str(option.envvar))].append(
                    name
                )
    assert len(found) <= 1, dict(found)


def test_one_short_letter_means_one_option() -> None:
    """-f is --file everywhere."""
    meanings = defaultdict(set)
    for command in commands().values():
        for option in options_of(command):
            for spelling in option.opts:
                if re.fullmatch("-[a-z]", spelling):
                    meanings[spelling].add(max(option.opts, key=len))
    assert {letter: names for letter, names in meanings.items() if len(names) > 1} == {}


def test_json_is_always_a_flag() -> None:
    """--json prints one document on standard output, wherever it is."""
    for name, command in commands().items():
        for option in options_of(command):
            if "--json" in option.opts:
                assert option.is_flag, name


@pytest.mark.stand
def test_what_a_remedy_names_exists() -> None:
    """A verb, or an option of some verb of ours or of the program that it is an option of."""
    known = {spelling for command in commands().values() for option in options_of(command) for spelling in option.opts}
    wrong = []
    for place, text in remedies():
        for verb in re.findall(r"(?<![\w./-])hpcbake ([a-z][a-z-]*)", text):
            if verb not in VERBS and verb not in NOT_VERBS:
                wrong.append(f"{place}: hpcbake {verb}: {text}")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text):
            if option not in known and option not in OF_OTHERS:
                wrong.append(f"{place}: {option}: {text}")
    assert wrong == []


#: Words that follow the program's name in a sentence.
NOT_VERBS = {
    "need",
    "lab's",
    "itself",
    "does",
    "is",
    "or",
    "and",
    "has",
    "cannot",
    "runs",
    "reads",
    "with",
    "that",
    "to",
    "in",
}
#: Options of docker, apptainer, Slurm and systemd that remedies name.
OF_OTHERS = {"--secret", "--cleanenv", "--no-home", "--user", "--mpi", "--version", "--help", "--metadata-file"}
