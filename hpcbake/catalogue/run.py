"""HB-RUN and HB-LAB: the run itself, this machine's disk, and the lab."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_CANTWRITE = (ExitCode.CANTWRITE,)

RUN: tuple[Entry, ...] = (
    Entry(
        "HB-RUN-001", "internal.bug", (ExitCode.BUG,),
        "hpcbake stumbled over itself. Our fault.",
        "hpcbake stumbled over itself: ValueError: zip() argument 2 is longer than argument 1",
        "Report it with the file that is named; look through the file for names that you do not want to publish.",
    ),
    Entry(
        "HB-RUN-002", "internal.script", (ExitCode.BUG,),
        "A script of hpcbake ended on a login node in a way that it should not.",
        "alder: survey: the script ended with 2",
        "Report it with the output that is shown. An unusual /bin/sh or a full process table is worth a look.",
    ),
    Entry(
        "HB-RUN-003", "internal.interrupted", (ExitCode.HUP, ExitCode.INT, ExitCode.TERM),
        "A signal ended the run. A step that was on its way at a site may still finish there.",
        "SIGINT",
        "Run the same command again: it takes up what it finds.",
    ),
    Entry(
        "HB-RUN-004", "state.cantwrite", _CANTWRITE,
        "This machine's disk does not take a file of hpcbake: journal, cache, report or known_hosts.",
        "/var/lib/hpcbake/runs/01M8…/journal.jsonl: the run's journal cannot be written: No space left on device",
        "Make room or mend the permissions; HPCBAKE_STATE and HPCBAKE_CACHE_DIR name other folders.",
    ),
    Entry(
        "HB-RUN-005", "state.unreadable", _CANTWRITE,
        "A file that has to be sent cannot be read on this machine.",
        "cannot read /home/me/.cache/hpcbake/sif/5ed5….sif to send it: Input/output error",
        "Check the file and this machine's disk, then run the same command again.",
    ),
    Entry(
        "HB-RUN-006", "state.damaged", (ExitCode.STATE,),
        "A report or record is not in the form that hpcbake writes.",
        "old.json: is no report of the form hpcbake.report/1: it has no `run`",
        "Give the file that `--report` or a run wrote; a report of a newer hpcbake needs that version.",
    ),
    Entry(
        "HB-RUN-007", "state.newer", (ExitCode.STATE,),
        "The history of runs on this machine was written by a later hpcbake, which this one does not read.",
        "/home/me/.local/state/hpcbake/history.db: the history of runs was written by a later hpcbake",
        "Use that hpcbake, or point HPCBAKE_STATE at another folder.",
    ),
)  # fmt: skip

_PREREQ = (ExitCode.PREREQ,)

LAB: tuple[Entry, ...] = (
    Entry(
        "HB-LAB-001", "state.lab", (ExitCode.STATE,),
        "What the lab has noted about itself cannot be read.",
        "/run/hpcbake-lab/lab.json is damaged",
        "Run `hpcbake lab down`, then `hpcbake lab up`.",
    ),
    Entry(
        "HB-LAB-002", "config.prerequisite.engine", _PREREQ,
        "The lab has no Docker engine to run in: none that serves, or the private one does not start.",
        "the private Docker engine does not start",
        "Run `sudo hpcbake lab up`, which starts a private engine without installing Docker; or give the lab a "
        "newer Docker with the containerd image store.",
    ),
    Entry(
        "HB-LAB-003", "config.prerequisite.folder", _PREREQ,
        "A folder that the lab works in belongs to another user or another lab.",
        "the lab's folder /run/hpcbake-lab cannot be written",
        "Run it as the user who brought that lab up, or choose other folders (docs/lab.md).",
    ),
    Entry(
        "HB-LAB-004", "config.prerequisite.kernel", _PREREQ,
        "This machine's kernel does not let unprivileged containers work inside the lab's.",
        "/dev/fuse is missing: apptainer could not mount images on the lab's sites",
        "Run the command of the `help:` line as root.",
    ),
    Entry(
        "HB-LAB-005", "config.prerequisite.lab", _PREREQ,
        "No lab is up, or it does not come up.",
        "no lab is up at /run/hpcbake-lab",
        "Run `hpcbake lab up`; `hpcbake lab down` and `hpcbake lab up` begin afresh.",
    ),
    Entry(
        "HB-LAB-006", "config.prerequisite.network", _PREREQ,
        "The lab finds no free addresses, or no name server that it can ask.",
        "no private address block is free for the lab's networks",
        "Do what the `help:` line says.",
    ),
    Entry(
        "HB-LAB-007", "config.prerequisite.port", _PREREQ,
        "Another program listens where the lab wants to.",
        "port 5083 on 127.0.0.1, wanted for registry, is taken: Address already in use",
        "See what listens there (`ss -ltnp`) and stop it, or choose other ports (docs/lab.md).",
    ),
    Entry(
        "HB-LAB-008", "config.prerequisite.space", _PREREQ,
        "The disk that the lab works on is too full.",
        "/var/cache/hpcbake-lab has 1.5 GiB free, the lab needs 6.0 GiB there",
        "Make room, or set HPCBAKE_LAB_CACHE to a folder on a larger disk.",
    ),
)  # fmt: skip
