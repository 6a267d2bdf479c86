"""Writes the golden files of the chain and the committed schemas anew: `python -m tests.golden.regenerate`.

Look at the difference before committing it: a golden file is the promise that a text does not change unseen.
"""

from __future__ import annotations

from tests.golden.chain_texts import chain_texts


def main() -> None:
    for path, text in chain_texts().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
