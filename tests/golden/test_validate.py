"""What `hpcbake validate` says of projects that are wrong in many ways, word by word.

`python -m tests.golden.test_validate` writes the expected texts anew: read the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcbake.validation import render_validation, validate

FOLDER = Path(__file__).parent / "validate"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def said_of(case: str) -> str:
    """The report on this project, with paths that are the same on every machine."""
    folder = FOLDER / case
    found = validate([], folder=folder, site_configs=Path("site-configs"), environment={}, local_platform="linux/amd64")
    return render_validation(found).replace(f"{folder}/", "").replace(str(folder), ".") + "\n"


@pytest.mark.parametrize("case", CASES)
def test_messages_are_as_they_were(case: str) -> None:
    """Every mistake of every file, with place, source line, carets and help."""
    assert said_of(case) == (FOLDER / f"{case}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for name in CASES:
        (FOLDER / f"{name}.txt").write_text(said_of(name), encoding="utf-8")
