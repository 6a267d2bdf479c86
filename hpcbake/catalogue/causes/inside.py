"""What a container, and the programs in it, print when they cannot run: apptainer exec, the loader, MPI, CUDA."""

from __future__ import annotations

from hpcbake.catalogue.causes.cause import Cause

EXEC: tuple[Cause, ...] = (
    Cause(
        "exec-glibc",
        r"version [`']GLIBC_[\d.]+' not found",
        "image.incompatible",
        "a program needs a newer glibc than it meets",
        "build on the base that the image runs on; `hpcbake check` says which file, before anything is sent",
    ),
    Cause(
        "exec-libstdcxx",
        r"version [`'](?:GLIBCXX|CXXABI)_[\d.]+' not found",
        "image.incompatible",
        "a program needs a newer libstdc++ than it meets",
        "put the compiler's libstdc++ into the image, or build with the base's own compiler",
    ),
    Cause(
        "exec-symbol",
        r"symbol lookup error: .*undefined symbol",
        "image.incompatible",
        "a library is there in another version than the program was linked with",
        "rebuild the program with the libraries of the image; look for LD_LIBRARY_PATH from outside",
    ),
    Cause(
        "exec-no-cuda-driver",
        r"libcuda\.so\.1: cannot open shared object|no CUDA-capable device|"
        r"CUDA driver version is insufficient|Could not find any nv files|NVIDIA-SMI has failed",
        "slurm.failed",
        "no usable NVIDIA driver inside the container",
        "use the smoke template gpu, ask Slurm for a GPU (`slurm.gpu`), and compare the driver with the image's CUDA",
    ),
    Cause(
        "exec-library",
        r"error while loading shared libraries: .*cannot open shared object file",
        "image.incompatible",
        "a library that a program needs is not in the image",
        "install the package that brings it; `hpcbake check --explain PATH` shows where it was looked for",
    ),
    Cause(
        "exec-illegal",
        r"[Ii]llegal instruction|\bSIGILL\b",
        "image.incompatible",
        "the program was built for a newer processor than this node has",
        "build for an older level: -march=x86-64-v2; declare `profile.cpu` of the site, so that check sees it",
    ),
    Cause(
        "exec-format",
        r"[Ee]xec(?:utable)? format error",
        "image.incompatible",
        "a program is for another kind of processor, or a script has no #! line",
        'build for the site: platforms = ["linux/amd64"]',
    ),
    Cause(
        "exec-no-sif",
        r"could not open image .*: (?:failed to retrieve path|no such file)|"
        r"image .* no such file or directory",
        "site.gone",
        "the SIF is not where the job looks for it",
        "hpcbake status shows what is there; the store must be visible from compute nodes",
    ),
    Cause(
        "exec-not-sif",
        r"reading global header|image format not recognized|unknown image format|"
        r"while opening image.*: (?:EOF|unexpected)",
        "image.damaged-sif",
        "the file is no whole SIF",
        "deliver it anew; hpcbake status --verify finds others",
    ),
    Cause(
        "exec-squashfs",
        r"read the squashfs image|squashfs(?:fuse)?[ :_-].*(?:corrupt|unable to|error|fail)|"
        r"SQUASHFS error|FATAL ERROR: ?Failed to (?:read|open)",
        "image.damaged-sif",
        "the file system of the SIF cannot be read to its end",
        "check it: hpcbake status --verify; suspect the store's disk",
    ),
    Cause(
        "exec-fuse",
        r"fuse: (?:failed to (?:open|exec)|mount failed|device not found)|fusermount3?: .*(?:not permitted|"
        r"not found|permission)|failed to mount image in user namespace",
        "site.runtime",
        "the runtime cannot mount the SIF on this node",
        "ask the site about fuse on compute nodes (/dev/fuse)",
    ),
    Cause(
        "exec-userns",
        r"[Ff]ailed to create user namespace|max_user_namespaces|"
        r"user namespaces? (?:are )?(?:disabled|not enabled)",
        "site.runtime",
        "user namespaces are switched off on this node",
        "ask the site; login and compute nodes may differ",
    ),
    Cause(
        "exec-missing-program",
        r"FATAL:\s+stat .*: no such file or directory|\"[^\"]+\": executable file not found in "
        r"\$PATH|\bexec: .*: not found|command not found$|\bsh: (?:\d+: )?\S+: not found$",
        "slurm.failed",
        "the image has no program of that name on PATH",
        "correct `command` of the smoke test, or PATH in the image (ENV PATH)",
    ),
    Cause(
        "exec-bind",
        r"mount source .* doesn't exist|while mounting .*: no such file",
        "slurm.failed",
        "a folder that is to be bound into the container does not exist on the node",
        "correct the binds of the test or of the site's apptainer.conf",
    ),
    Cause(
        "exec-interpreter",
        r"bad interpreter|required file not found|a shared library is likely missing in the image",
        "image.incompatible",
        "the program's loader or interpreter is not in the image",
        "install what its #! line or PT_INTERP names; `hpcbake check` finds it before",
    ),
    Cause(
        "exec-python-module",
        r"^(?:\S*\s)?ModuleNotFoundError: |^ImportError: ",
        "slurm.failed",
        "Python does not find or load a module",
        "install it in the image; look for PYTHONPATH and ~/.local from outside (apptainer exec --cleanenv --no-home)",
    ),
    Cause(
        "exec-mpi",
        r"PMI2?_Init failed|PMIX ERROR|PMIx server (?:was )?unreachable|"
        r"OMPI was not built with SLURM's PMI|MPI_Init.{0,60}(?:fail|abort|error)",
        "slurm.failed",
        "MPI in the container and srun do not speak the same PMI",
        "set `slurm.mpi` of the site config to what `srun --mpi=list` and the image's MPI have in common",
    ),
    Cause(
        "exec-oom",
        r"oom[-_]kill|[Oo]ut [Oo]f [Mm]emory|Cannot allocate memory|\bMemoryError\b|std::bad_alloc",
        "slurm.failed",
        "the job had too little memory",
        "ask Slurm for more: `slurm.memory` of the site or the test",
    ),
    Cause(
        "exec-segv",
        r"[Ss]egmentation fault|\bSIGSEGV\b",
        "slurm.failed",
        "a program wrote or read where it may not",
        "the image's own fault, or mixed libraries: hpcbake check --explain PATH; host libraries by LD_LIBRARY_PATH",
    ),
    Cause(
        "exec-read-only",
        r"[Rr]ead-only file system",
        "slurm.failed",
        "a program writes into the image, which is read-only on a cluster",
        "let it write to $TMPDIR or a bound folder",
    ),
    Cause(
        "exec-space",
        r"[Nn]o space left on device|[Dd]isk quota exceeded",
        "site.space",
        "no room left where the job writes",
        "make room; look at /tmp of the node and at the quota",
    ),
    Cause(
        "exec-permission",
        r"FATAL:.*[Pp]ermission denied|: Permission denied$",
        "slurm.failed",
        "a file may not be read or run by the user who runs the container",
        "chmod a+rX in the Dockerfile: on a cluster nobody is root in a container",
    ),
)
