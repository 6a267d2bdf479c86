"""A machine whose programs give prepared answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpcbake.lab.settings import LabSettings, Owner, Ports
from hpcbake.model.ports import Outcome

Answer = Outcome | Callable[[Sequence[str]], Outcome]


class FakeMachine:
    """Answers by the longest key that the command begins with; records what was run, with which variables."""

    def __init__(self, answers: Mapping[str, Answer] | None = None, *, programs: Sequence[str] = ()) -> None:
        self.answers = dict(answers or {})
        self.programs = set(programs)
        self.ran: list[list[str]] = []
        self.environs: list[dict[str, str]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        log: Path | None = None,
    ) -> Outcome:
        self.ran.append(list(argv))
        self.environs.append(dict(environ or {}))
        text = " ".join(argv)
        keys = [key for key in self.answers if text.startswith(key)]
        if not keys:
            return Outcome(127, stderr=f"{argv[0]}: no such program")
        answer = self.answers[max(keys, key=len)]
        return answer if isinstance(answer, Outcome) else answer(argv)

    def find_program(self, name: str) -> str | None:
        return name if name in self.programs else None


def lab_settings(folder: Path, *, name: str = "testlab", is_root: bool = True) -> LabSettings:
    """Settings of a lab that lies below `folder`."""
    return LabSettings(
        name=name, state=folder / "state", cache=folder / "cache", ports=Ports(), owner=Owner(0, 0), is_root=is_root
    )
