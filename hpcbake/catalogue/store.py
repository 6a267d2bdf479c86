"""HB-SITE and HB-STORE: what a site lacks, and what its store refuses."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_RESOURCE = (ExitCode.SITE_RESOURCE,)
_BUSY = (ExitCode.BUSY,)
_STATE = (ExitCode.STATE,)

SITE: tuple[Entry, ...] = (
    Entry(
        "HB-SITE-001", "site.resource", _RESOURCE,
        "The site lacks something that a step needs, and it has no finer name.",
        "alder: cannot pull registry.example.org/app@sha256:5ed5…: a shared file system of the site is in trouble",
        "Look with `hpcbake sites check SITE`.",
    ),
    Entry(
        "HB-SITE-002", "site.space", _RESOURCE,
        "There is no room, or your quota is used up, in the store or in the runtime's temporary folder.",
        "birch: deliver pi: /scratch/hpcbake/.hpcbake/incoming/pi-29b5… needs 95108 kB and has 8188 kB",
        "`hpcbake gc` removes releases that nobody needs. Look at `df`, `df -i` and `quota` there; set "
        "`runtime.tmpdir` or another `store.root`.",
    ),
    Entry(
        "HB-SITE-003", "site.permission", _RESOURCE,
        "Your account may not write, or not remove, what the step has to.",
        "alder: 2 could not be removed: /scratch/hpcbake/sif/app/5ed5…sif: Permission denied",
        "Check owner and mode of the store's folders; a store of several people needs `store.group`.",
    ),
    Entry(
        "HB-SITE-004", "site.answer", _RESOURCE,
        "The script on the login node ended well and did not say what it was asked: something else ended the shell.",
        "alder: survey: the script on the site ended without saying runtime",
        "Look whether a `prelude` of the site ends the shell (exit, exec), and try it on the login node.",
    ),
    Entry(
        "HB-SITE-005", "site.killed", _RESOURCE,
        "The script on the login node was killed: limits of memory or time for interactive work, or an operator.",
        "alder: deliver app: the script on the site was ended by signal 9",
        "Look at the login node's limits. `--way job` converts on a compute node, `--way oras` and `--way stream` "
        "on this machine. Run the same command again.",
    ),
    Entry(
        "HB-SITE-006", "site.gone", _RESOURCE,
        "A SIF that was there a moment ago is not there now.",
        "alder: promote app: /scratch/hpcbake/sif/app/5ed5….sif is gone",
        "`hpcbake status` shows what is there; ship again. Look whether the file system purges old files.",
    ),
    Entry(
        "HB-SITE-007", "site.not-delivered", _RESOURCE,
        "The step needs the SIF of this image in the store, and it is not there.",
        "alder: app 5ed593470d2a is not in the store",
        "Deliver it first: `hpcbake deliver`, or `hpcbake ship`.",
    ),
)  # fmt: skip

STORE: tuple[Entry, ...] = (
    Entry(
        "HB-STORE-001", "site.promote", (ExitCode.PROMOTE,),
        "The smoke tests passed, but the new release could not be made current. The old one is still active.",
        "alder: promote app: current could not be moved: Permission denied",
        "Run the same command again; if it stays, look at the folder <store.root>/<image>/ and who owns it.",
    ),
    Entry(
        "HB-STORE-002", "lock.held", _BUSY,
        "Another run is at work on the same thing. A lock whose holder is dead is taken over without asking.",
        "alder: promote micro: /scratch/hpcbake/.hpcbake/leases/promote is held by: login2 0b5c 4711 123 1000 "
        "01M80RUNOFSOMEBODY",
        "Wait for the other run, or look at its host and process. `--lock-wait SECONDS` is your patience.",
    ),
    Entry(
        "HB-STORE-003", "lock.hold", _BUSY,
        "Somebody rolled this image back, and ship does not undo that. The new release is there and tested.",
        "alder: app is held at sha256:5ed59347… by dev@laptop since 2026-11-22T07:19:20Z: ship delivers and tests "
        "it, and does not promote it",
        "See why: `hpcbake history IMAGE`. Lift it: `hpcbake rollback IMAGE --release-hold --site SITE`.",
    ),
    Entry(
        "HB-STORE-004", "state.changed", _BUSY,
        "Another run promoted the same image meanwhile.",
        "alder: promote app: current is sha256:77ab…, and was sha256:5ed5…",
        "Run the same command again.",
    ),
    Entry(
        "HB-STORE-005", "state.ledger", _STATE,
        "A line of the site's ledger was changed, lost or added by something else. Nothing was done.",
        "alder: /scratch/hpcbake/.hpcbake/ledger.jsonl:3: was changed: its sha256 is 5d1f…, line 4 was written after "
        "a902…",
        "Find out who edited it. Then move ledger.jsonl and ledger.head aside together: the next promotion begins a "
        "new ledger. What users run is not touched; check it with `hpcbake status --verify`.",
    ),
    Entry(
        "HB-STORE-006", "state.provenance", (ExitCode.INTEGRITY,),
        "The record beside a SIF is not the one that was written when it was promoted.",
        "alder: app 1.0: its provenance file is not the one that was written when it was promoted",
        "Deliver and promote that image again: `hpcbake promote`.",
    ),
    Entry(
        "HB-STORE-007", "site.taken-back", (ExitCode.PROMOTE,),
        "The image was to be promoted at all sites or at none. Another site failed, so this one went back.",
        "alder: app was promoted and taken back (all or none): birch: app failed at smoke",
        "Mend the site that failed, then run the same command again.",
    ),
    Entry(
        "HB-STORE-008", "site.not-taken-back", (ExitCode.PROMOTE,),
        "The image was to be promoted at all sites or at none. Another site failed, and this one could not go back: "
        "its users have the new release.",
        "alder: app was promoted and could not be taken back (all or none: birch failed): connection lost",
        "Look with `hpcbake status`; go back by hand with `hpcbake rollback IMAGE --site SITE`, or mend the other "
        "site and ship again.",
    ),
)  # fmt: skip
