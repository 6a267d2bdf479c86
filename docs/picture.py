"""Draws the README's picture from a real run: ships the example through the running lab and saves the terminal as SVG.

python docs/picture.py [--first]     --first empties the example's store at both sites before the run
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hpcbake import lab

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURE = REPOSITORY / "docs" / "images" / "ship.svg"
WIDTH = 118


def main() -> int:
    """Run, draw, say where."""
    settings = lab.read_settings(os.environ, uid=os.getuid(), gid=os.getgid())
    environment = {**os.environ, **lab.lab_environment(settings.state), "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    if "--first" in sys.argv[1:]:
        for site in ("alder", "birch"):
            argv = ["ssh", "-F", str(settings.state / "ssh_config"), site, "rm -rf /scratch/hpcbake"]
            subprocess.run(argv, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "hpcbake", "ship"],
        cwd=REPOSITORY / "examples" / "hpc-app",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stderr, done.stdout, file=sys.stderr)
        return done.returncode
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ hpcbake ship", style="bold"))
    for line in done.stderr.rstrip().split("\n"):
        if not line.endswith("…"):  # a step's beginning; its end says more
            console.print(Text(line, style="dim"), overflow="ellipsis", no_wrap=True)
    console.print()
    console.print(Text.from_ansi(done.stdout.rstrip()))
    PICTURE.parent.mkdir(exist_ok=True)
    drawn = console.export_svg(title="hpcbake ship")
    # The page must need nothing from elsewhere: the viewer's own fixed-width font serves.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")
    PICTURE.write_text(drawn, encoding="utf-8")
    print(PICTURE.relative_to(REPOSITORY))
    return 0


if __name__ == "__main__":
    sys.exit(main())
