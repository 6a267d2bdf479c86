"""Draws the pictures of the README and the docs from real runs: the example on the running lab, the terminal as SVG.

python docs/picture.py [--first]     --first empties the example's store at both sites before the run
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hpcbake import lab

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "docs" / "images"
WIDTH = 118
#: picture → the words behind `hpcbake`, and the folder of examples/ that it is run in. The first makes the release.
RUNS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ship": (("ship",), "hpc-app"),
    "plan": (("plan",), "hpc-app"),
    "check": (("ship", "--site", "birch"), "broken-glibc"),
    "report": (("report",), "hpc-app"),
    "status": (("status",), "hpc-app"),
}
#: Those that show a failure end with its exit code.
FAILING = {"check"}
#: Lines of progress that are drawn: the ends of steps, and the digests.
_SHOWN = re.compile(r"\bok \(|confirmed by| passed on |\bfailed: ")


def main() -> int:
    """Run, draw, say where."""
    settings = lab.read_settings(os.environ, uid=os.getuid(), gid=os.getgid())
    environment = {**os.environ, **lab.lab_environment(settings.state), "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    if "--first" in sys.argv[1:]:
        for site in ("alder", "birch"):
            argv = ["ssh", "-F", str(settings.state / "ssh_config"), site, "rm -rf /scratch/hpcbake"]
            subprocess.run(argv, check=True)
    PICTURES.mkdir(exist_ok=True)
    for name, (words, example) in RUNS.items():
        done = run(words, example, environment)
        if (done.returncode != 0) != (name in FAILING):
            print(done.stderr, done.stdout, file=sys.stderr)
            return done.returncode or 1
        command = " ".join(("hpcbake", *words))
        # The plan that ship prints before it begins has a picture of its own.
        before = r"\A.*?plan: [^\n]*smoke jobs[^\n]*\n+"
        result = re.sub(before, "", done.stdout, flags=re.DOTALL) if name == "ship" else done.stdout
        (PICTURES / f"{name}.svg").write_text(draw(command, done.stderr, result), encoding="utf-8")
        print((PICTURES / f"{name}.svg").relative_to(REPOSITORY))
    return 0


def run(words: tuple[str, ...], example: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`hpcbake WORDS` in a folder of examples/."""
    return subprocess.run(
        [sys.executable, "-m", "hpcbake", *words],
        cwd=REPOSITORY / "examples" / example,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def draw(command: str, progress: str, result: str) -> str:
    """A terminal with this command, its progress, dimmed, and its result. Pure."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    lines = [line for line in progress.rstrip().split("\n") if _SHOWN.search(line)]
    for line in lines:
        console.print(Text.from_ansi(line, style="dim"), overflow="ellipsis", no_wrap=True)
    if lines:
        console.print()
    console.print(Text.from_ansi(result.rstrip()))
    drawn = console.export_svg(title=command, unique_id=command.replace(" ", "-"))
    # The page must need nothing from elsewhere: the viewer's own fixed-width font serves.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    sys.exit(main())
