"""What each exit code means, and what the operator does then."""

from __future__ import annotations

from collections.abc import Mapping

from hpcbake.errors import ExitCode

#: exit code → (what it means, what to do)
EXITS: Mapping[ExitCode, tuple[str, str]] = {
    ExitCode.OK: ("Everything that was asked for is so.", "Nothing."),
    ExitCode.BUG: ("hpcbake contradicts itself.", "Report it with the file that the message names."),
    ExitCode.USAGE: (
        "The command line asks for something that does not exist.",
        "Compare the words with `--help` of the verb. Nothing was started.",
    ),
    ExitCode.PARTIAL: (
        "Some of it went well, or results failed for different reasons; the report says which.",
        "Read the paragraphs above the last line: each has its own help. `hpcbake report` shows them again.",
    ),
    ExitCode.CHANGES: (
        "`hpcbake plan --detailed-exitcode`: nothing is wrong, and `hpcbake ship` has something to do.",
        "Run `hpcbake ship` if you want it done.",
    ),
    ExitCode.CONFIG: ("A bake file, site config or project file is wrong.", "Mend the lines that are shown."),
    ExitCode.PREREQ: (
        "A tool, daemon or credential helper is missing on this machine.",
        "Install or start what is named.",
    ),
    ExitCode.BUILD: ("BuildKit says no.", "Read the instruction and the lines that are shown; no site was touched."),
    ExitCode.REGISTRY: (
        "A registry refuses, or does not serve what it acknowledged.",
        "Check login, name and certificate: on this machine or, where a site is named, there.",
    ),
    ExitCode.REGISTRY_TEMP: (
        "A registry could not answer within the retries: 429, 5xx, timeouts.",
        "Run the same command again later.",
    ),
    ExitCode.INCOMPATIBLE: (
        "The image does not fit the site.",
        "Mend the image as the findings say; nothing was sent to that site.",
    ),
    ExitCode.UNCHECKED: (
        "The check could not be completed, which is never taken for compatible.",
        "Look at the file or layer that is named.",
    ),
    ExitCode.SITE_UNREACHABLE: (
        "A login node cannot be reached, or did not answer within its deadline.",
        "Check network and VPN, then run the same command again: it takes up what it finds.",
    ),
    ExitCode.SITE_TRUST: (
        "A host key or an authentication is not what was expected.",
        "Do not retry blindly: compare the fingerprint with the site's own words, or log in by hand.",
    ),
    ExitCode.SITE_RESOURCE: (
        "The site lacks space, inodes, permission or a program.",
        "Make room (`hpcbake gc`), mend permissions or the site config; look with `hpcbake sites check SITE`.",
    ),
    ExitCode.INTEGRITY: (
        "Bytes are not the ones a digest names.",
        "Run the same command again: they are fetched anew. If it stays, suspect a disk or a proxy.",
    ),
    ExitCode.SMOKE_FAILED: (
        "A smoke job ran and said no.",
        "Read its log and mend the image; `--retry-failed` runs the test of the same image once more.",
    ),
    ExitCode.SMOKE_UNKNOWN: (
        "Nobody can tell how a smoke job ended: nothing is promoted on that.",
        "Run the same command again.",
    ),
    ExitCode.PROMOTE: (
        "The smoke tests passed but the site could not be switched; the old release is still active.",
        "Run the same command again; if it stays, look at the owner of the store's folders.",
    ),
    ExitCode.STATE: (
        "A ledger or journal is damaged or was tampered with; nothing was done.",
        "Find out who edited it before you do anything else: docs/how-to/roll-back.md.",
    ),
    ExitCode.CANTWRITE: (
        "This machine's own disk, report or log cannot be written.",
        "Make room, or point HPCBAKE_STATE and HPCBAKE_CACHE_DIR at folders that can be written.",
    ),
    ExitCode.BUSY: (
        "Somebody alive holds the lock.",
        "Wait for the other run, or look at its host and process; a hold is lifted with `hpcbake rollback "
        "--release-hold`.",
    ),
    ExitCode.HUP: (
        "The signal HUP ended the run: the terminal or the connection to this machine went away.",
        "Run the same command again: it takes up what it finds.",
    ),
    ExitCode.INT: ("The signal INT (Ctrl-C) ended the run.", "Run the same command again: it takes up what it finds."),
    ExitCode.TERM: ("The signal TERM ended the run.", "Run the same command again: it takes up what it finds."),
}
