"""Runs docs/tutorial.md from an empty folder, line by line as printed, and compares what comes out.

python docs/tutorial.py            says where a command answers otherwise than the page
python docs/tutorial.py --update   writes the answers of this run into the page

A block ```console holds commands behind `$ ` and their answers; the blocks are typed into one shell, in order. What
differs from run to run (digests, times, numbers of jobs, addresses of the lab) is compared as if it were the same.
`[...]` on a line of its own stands for any number of lines.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "tutorial.md"
_BLOCK = re.compile(r"^```console\n(?P<text>.*?)^```$", re.M | re.S)
_END = "hpcbake-tutorial-end"
_TIMEOUT_S = 900
#: What the page says of the lab's state folder; a run elsewhere has its own.
LAB_STATE = "/run/hpcbake-lab"

#: pattern → what stands for it when answers are compared. The order matters.
_VARYING = (
    (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "KEY"),
    (r"\b[0-9a-f]{12,40}\b", "DIGEST"),
    (r"\b01[0-9A-HJKMNP-TV-Z]{24}\b", "RUN"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?Z?", "TIME"),
    (r"\d{4}-\d\d-\d\d", "TIME"),
    (r"-?\b\d+(?:\.\d+)? ?(?:ms|s|min)\b", "DURATION"),
    (r"\b\d+(?:\.\d+)? (?:[kKMG]i?B|bytes)\b", "SIZE"),
    (r"(?:\bjobs? )\d+(?:, \d+)*", "job N"),
    (r"(?<= )\d+(?:, \d+)+(?= )", "N"),
    (r"\b\d+(?= on \w)", "N"),
    (r"localhost:\d+(?:/tutorial-\d+)?", "REGISTRY"),
    (r"\(not there yet; \S+ is\)", "(not there yet)"),
    (r"\b\d+\.\d+\.\d+[-+~.\w]*", "VERSION"),
    (r"[ \t]+", " "),
    (r"─+|━+|-{4,}", "-"),
)


@dataclass(frozen=True)
class Step:
    """One command with the answer that the page shows; `start` and `end` are the answer's place in the page."""

    command: str
    answer: str
    start: int
    end: int


def read_steps(page: str) -> Iterator[Step]:
    """Every command of the page in order."""
    for block in _BLOCK.finditer(page):
        offset = block.start("text")
        parts = re.split(r"^(?=\$ )", block["text"], flags=re.MULTILINE)
        for part in parts:
            if part.startswith("$ "):
                lines = part.splitlines(keepends=True)
                count = 1
                while lines[count - 1].endswith("\\\n"):  # a command that goes on
                    count += 1
                command = "".join([lines[0][2:], *(line.removeprefix("> ") for line in lines[1:count])])
                head = sum(map(len, lines[:count]))
                yield Step(command, part[head:], offset + head, offset + len(part))
            offset += len(part)


def same(printed: str, found: str) -> bool:
    """Are two answers the same but for what differs from run to run?"""
    pattern = re.escape(normal(printed)).replace(re.escape("[...]"), r"(?:.*\n?)*?.*")
    return re.fullmatch(pattern, normal(found)) is not None


def normal(answer: str) -> str:
    """An answer with a word in place of everything that varies, and of passing lines of progress."""
    text = answer
    for pattern, word in _VARYING:
        text = re.sub(pattern, word, text)
    # Progress is a matter of moments: which of its lines are seen depends on when somebody looked; and a busy machine
    # is warned of, as its tests take longer than last time.
    lines = [line.strip() for line in text.splitlines() if not line.rstrip().endswith("…")]
    return "\n".join(
        line
        for line in lines
        if line and not re.search(r"\b(running|pending|SIF of|native on|in the last release)\b", line)
    )


class Shell:
    """One bash that all commands are typed into, in a folder of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def type(self, command: str) -> str:
        """Everything that the command prints, on both streams. It reads nothing from us."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{{ {command.rstrip()}\n}} </dev/null\necho {_END}\n")
        self._shell.stdin.flush()
        lines = []
        for line in self._shell.stdout:
            if line.rstrip("\n").endswith(_END):
                lines.append(line.rstrip("\n").removesuffix(_END))
                break
            lines.append(line)
        return "".join(lines)

    def close(self) -> None:
        """End the shell and whatever runs in it."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()


def environment(folder: Path, lab_state: Path) -> dict[str, str]:
    """A newcomer's: a clean home, and hpcbake on PATH."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "110",
        "USER": "you",
        "LOGNAME": "you",
        "LAB": str(lab_state),
    }


def run_page(page: str, folder: Path, lab_state: Path) -> Iterator[tuple[Step, str]]:
    """Type every command of the page; each with what it really answered, in the page's own names."""
    shell = Shell(folder, environment(folder, lab_state))
    host = socket.gethostname()
    try:
        for step in read_steps(page):
            found = shell.type(step.command.replace(LAB_STATE, str(lab_state)))
            yield (
                step,
                found.replace(str(lab_state), LAB_STATE).replace(str(folder), "~").replace(f"@{host}", "@laptop"),
            )
    finally:
        shell.close()


def with_answers(page: str, results: list[tuple[Step, str]]) -> str:
    """The page with the answers of a run; a step whose answer still fits keeps its own where it was shortened."""
    for step, found in reversed(results):
        keeps = "[...]" in step.answer and same(step.answer, found)
        text = step.answer if keeps else found.rstrip("\n") + ("\n" if found.strip() else "")
        page = page[: step.start] + text + page[step.end :]
    return page


def main() -> int:
    """Run the page, and tell or write what came out."""
    from hpcbake import lab

    settings = lab.read_settings(os.environ, uid=os.getuid(), gid=os.getgid())
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        results = list(run_page(page, Path(name), settings.state))
    if "--update" in sys.argv[1:]:
        PAGE.write_text(with_answers(page, results), encoding="utf-8")
        return 0
    wrong = [(step, found) for step, found in results if not same(step.answer, found)]
    for step, found in wrong:
        print(f"$ {step.command}--- printed\n{step.answer}--- found\n{found}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
