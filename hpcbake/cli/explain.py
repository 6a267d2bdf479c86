"""`hpcbake explain`: what a code, a kind, an exit code or a rule means, and what to do."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import click

from hpcbake.cli.explain_log import is_log, log_document, read_log_of, render_log
from hpcbake.cli.explain_topics import Topic, all_topics, find_topic, suggestion
from hpcbake.errors import RETRYABLE_CODES, ExitCode, UsageError

_WIDTH = 100


@click.command("explain")
@click.argument("words", nargs=-1, metavar="[NAME|FILE|-]...")
@click.option("--list", "as_list", is_flag=True, help="List every name that can be explained.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(words: tuple[str, ...], as_list: bool, as_json: bool) -> int:
    """Say what an error means and what to do: by its code, its kind, an exit code, or a rule's name.

    A file or - (standard input) is read as a log of apptainer, Slurm, ssh, a registry or BuildKit, and explained line
    by line. What is not known is said to be not known.

    \b
    Examples:
      hpcbake explain HB-PULL-007      an error, by the code that its message shows
      hpcbake explain site.space 42    by its kind; and an exit code
      hpcbake explain glibc-too-new    a rule of check or lint
      hpcbake explain build.log        a log: what is known of its lines
      ssh login 2>&1 | hpcbake explain -
    """
    if as_list == bool(words):
        raise UsageError(
            "explain takes names or --list, not both" if words else "nothing to explain",
            remedy="give the code of a message, as in: hpcbake explain HB-PULL-007; or --list",
        )
    topics = all_topics() if as_list else [_topic(word) for word in words if not is_log(word)]
    logs = {word: read_log_of(word) for word in words if is_log(word)}
    if as_json:
        members = {
            "topics": [topic.document() for topic in topics],
            "logs": [log_document(*item) for item in logs.items()],
        }
        click.echo(json.dumps({"kind": "hpcbake.explain", "version": 1, **members}, indent=2))
    elif as_list:
        click.echo("\n".join(_list_lines(topics)))
    else:
        click.echo("\n\n".join([*map(render_topic, topics), *map(render_log, logs.values())]))
    return int(ExitCode.OK)


def _topic(word: str) -> Topic:
    found = find_topic(word)
    if found is None:
        raise UsageError(f"nothing here is called {word!r}", remedy=suggestion(word))
    return found


def _list_lines(topics: Sequence[Topic]) -> list[str]:
    rows = [(topic.name, " ".join(topic.names[1:]), topic.means.split(". ")[0].rstrip(".")) for topic in topics]
    first, second = (max(len(row[place]) for row in rows) for place in (0, 1))
    return [f"{name:{first}}  {also:{second}}  {means}".rstrip() for name, also, means in rows]


def render_topic(topic: Topic) -> str:
    """A topic for people: its names, what it means, how it looks, what to do."""
    lines = [" · ".join([*topic.names, topic.sort, *_exit_words(topic)]), "", *_flow(topic.means)]
    if topic.looks:
        lines += ["", "Looks like:", *(f"  | {line}" for line in topic.looks.splitlines())]
    if topic.remedy:
        lines += ["", "What to do:", *_flow(topic.remedy)]
    if topic.page:
        lines += ["", f"See {topic.page}"]
    return "\n".join(lines)


def _exit_words(topic: Topic) -> list[str]:
    if topic.sort == "exit code":
        return ["worth running again as it is"] if topic.exits[0] in RETRYABLE_CODES else []
    again = ["worth running again as it is"] if topic.exits and RETRYABLE_CODES.issuperset(topic.exits) else []
    return [*(f"exit code {int(code)} {code.name}" for code in topic.exits), *again]


def _flow(text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
