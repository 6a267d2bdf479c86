"""HB-SLURM and HB-SMOKE: what the scheduler says, and how smoke tests end."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_RESOURCE = (ExitCode.SITE_RESOURCE,)
_UNKNOWN = (ExitCode.SMOKE_UNKNOWN,)

SLURM: tuple[Entry, ...] = (
    Entry(
        "HB-SLURM-001", "slurm.refused", _RESOURCE,
        "Slurm does not take the job as it is asked for: account, partition, QOS, limits.",
        "alder: submit smoke test cpu of micro: sbatch ended with 1: sbatch: error: Batch job submission failed: "
        "Invalid partition name specified",
        "Correct the `slurm` section of the site config; `sinfo -s` and `sacctmgr show assoc user=$USER` on the "
        "login node show what you may ask for.",
    ),
    Entry(
        "HB-SLURM-002", "slurm.down", _UNKNOWN,
        "Slurm's controller does not answer, so nobody knows of any job.",
        "alder: poll: squeue: slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "Run the same command again when Slurm answers: `sinfo` on the login node. Jobs that run are found again.",
    ),
    Entry(
        "HB-SLURM-003", "slurm.output", _RESOURCE,
        "The job started on a compute node and could not write where the store is.",
        "alder: smoke test cpu did not run (job 7 on a1): it could not write its output",
        "The store must lie on a file system that compute nodes can write to: check `store.root`.",
    ),
)  # fmt: skip

SMOKE: tuple[Entry, ...] = (
    Entry(
        "HB-SMOKE-001", "slurm.failed", (ExitCode.SMOKE_FAILED,),
        "The smoke job ran and said no.",
        "alder: smoke test picky failed (job 5 on alder): exit code 7",
        "Read its log, which is named; mend the image. If it was the node's fault: `--retry-failed` runs the same "
        "test once more. `hpcbake explain FILE` reads the log with you.",
    ),
    Entry(
        "HB-SMOKE-002", "slurm.unknown", _UNKNOWN,
        "Nobody knows how the smoke job ended, so nothing was promoted: the queue was too long, somebody cancelled "
        "it, a node died.",
        "alder: nobody knows how smoke test cpu ended (job 8): still queued after 5 s: PartitionDown: the partition "
        "is down; cancelled",
        "Run the same command again; raise `slurm.queue_deadline` if the queue is simply longer than that.",
    ),
    Entry(
        "HB-SMOKE-003", "slurm.untested", _UNKNOWN,
        "Nothing is promoted that no smoke test has passed, and none has.",
        "alder: app sha256:5ed5… has never passed its smoke tests there",
        "Give the image at least one smoke test that runs on the site, and run it: `hpcbake smoke`.",
    ),
)  # fmt: skip
