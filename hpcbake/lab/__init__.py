"""The lab: a real miniature cluster on one machine, up and down with one command."""

from hpcbake.lab.environment import LabRecord, lab_environment, read_lab_record
from hpcbake.lab.lifecycle import LabRun, down, new_run, reset, shell_command, status, up
from hpcbake.lab.progress import Progress
from hpcbake.lab.settings import LabSettings, read_settings
from hpcbake.lab.status import LabStatus, render_status

__all__ = [
    "LabRecord",
    "LabRun",
    "LabSettings",
    "LabStatus",
    "Progress",
    "down",
    "lab_environment",
    "new_run",
    "read_lab_record",
    "read_settings",
    "render_status",
    "reset",
    "shell_command",
    "status",
    "up",
]
