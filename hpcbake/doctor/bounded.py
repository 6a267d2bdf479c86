"""Questions with a time limit each: whatever hangs is a FAIL, and keeps nothing else from being answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from hpcbake.errors import ExitCode, HpcbakeError
from hpcbake.model.late import dataclass
from hpcbake.sites.examine import Line, fail


@dataclass(frozen=True)
class Question:
    """One thing to look at. `ask` may take `limit_s`, raise HpcbakeError, and yield several lines."""

    topic: str
    ask: Callable[[], Iterable[Line]]
    limit_s: float = 30.0
    #: What to do when there is no answer.
    fix: str = "look what keeps it from answering, then run hpcbake doctor again"


@dataclass
class _Answer:
    lines: list[Line] = field(default_factory=list)
    failure: BaseException | None = None


def ask_all(questions: Sequence[Question]) -> list[Line]:
    """Ask all of them at once, and give the lines in the order of the questions."""
    began = time.monotonic()
    asked = [(question, *_begin(question)) for question in questions]
    lines: list[Line] = []
    for question, thread, answer in asked:
        thread.join(max(0.0, began + question.limit_s - time.monotonic()))
        lines += _lines_of(question, thread, answer)
    return lines


def no_answer(topic: str, limit_s: float, fix: str) -> Line:
    """The FAIL for something that hangs."""
    return fail(topic, f"no answer in {limit_s:.0f} s", fix, ExitCode.PREREQ)


def _begin(question: Question) -> tuple[threading.Thread, _Answer]:
    answer = _Answer()

    def run() -> None:
        try:
            for line in question.ask():
                answer.lines.append(line)
        except Exception as failure:  # noqa: BLE001  (handed to the thread that waits)
            answer.failure = failure

    # A daemon: what hangs in the kernel must not keep the program from ending.
    thread = threading.Thread(target=run, name=f"doctor-{question.topic}", daemon=True)
    thread.start()
    return thread, answer


def _lines_of(question: Question, thread: threading.Thread, answer: _Answer) -> list[Line]:
    lines = list(answer.lines)
    if thread.is_alive():
        return [*lines, no_answer(question.topic, question.limit_s, question.fix)]
    if isinstance(answer.failure, HpcbakeError):
        failure = answer.failure
        detail = failure.evidence.get("output")
        text = f"{failure.message}\n{detail}" if detail else failure.message
        return [*lines, fail(question.topic, text, failure.remedy or question.fix, failure.exit_code)]
    if answer.failure is not None:
        raise answer.failure
    return lines
