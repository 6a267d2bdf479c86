"""What a run says while it goes: a live table on a terminal, plain lines in a log, JSON for programs, or nothing."""

from hpcbake.report.progress.choose import MODES, choose_mode, make_progress
from hpcbake.report.progress.event import Event, Progress

__all__ = ["MODES", "Event", "Progress", "choose_mode", "make_progress"]
