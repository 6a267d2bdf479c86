"""A site on this machine: the real scripts in a temporary folder, with small programs in the places of the real ones.

The stand-ins keep what the real programs promise and fail as they fail (texts and exit codes are those of apptainer
1.4.5 and Slurm 24.11). What they do next is told by files in the stand's folder, which tests write.
"""

from __future__ import annotations

import json
import shlex
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from hpcbake.adapters.local import LocalNode
from hpcbake.model.artefacts import BuiltImage
from hpcbake.model.ports import Outcome
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Login, Runtime, Site, Slurm, Store
from hpcbake.sites.scripts import Answer, parse_answer_lines, render_site_script

DIGEST = Digest.of(b"the image of the tests")


def sif_bytes(digest: Digest, *, arch: bytes = b"02", payload: bytes = b"squashfs " * 50) -> bytes:
    """A SIF as far as anybody looks at it before it runs: the header of the format, then parts, then a label."""
    body = payload + f"\nfrom: registry/app@{digest}\n".encode()
    head = bytearray(128)
    head[0:32] = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0")
    head[32:42] = b"SIF_MAGIC\0"
    head[42:45] = b"01\0"
    head[45:48] = arch.ljust(3, b"\0")
    struct.pack_into("<qq", head, 112, 128, len(body))
    return bytes(head) + body


_APPTAINER = r"""#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/apptainer.calls"
mode=$(cat "$stand/apptainer.mode" 2>/dev/null)
case $1 in
--version) echo 'apptainer version 1.4.5' ;;
exec)
  if [ -e "$stand/container.real" ]; then
    while [ "${1%.sif}" = "$1" ]; do shift; done
    shift
    exec "$@"
  fi
  cat "$stand/container.out" 2>/dev/null
  [ ! -e "$stand/container.hangs" ] || { echo $$ >"$stand/running"; exec sleep 300; }
  exit "$(cat "$stand/container.code" 2>/dev/null || echo 0)"
  ;;
inspect) for file; do :; done; grep -ao 'from: [^ ]*' "$file" ;;
pull)
  while [ $# -gt 1 ]; do
    [ "$1" != --name ] || destination=$2
    shift
  done
  printf '%s' "${APPTAINER_DOCKER_USERNAME:-} ${APPTAINER_DOCKER_PASSWORD:-}" >"$stand/login"
  printf '%s %s' "$APPTAINER_TMPDIR" "$APPTAINER_CACHEDIR" >"$stand/folders"
  case $mode in
  fail) cat "$stand/apptainer.says" >&2; exit 255 ;;
  nothing) exit 0 ;;
  killed) kill -9 $$ ;;
  hang) echo $$ >"$stand/pulling"; sleep 300 ;;
  wait) echo $$ >"$stand/pulling"; while [ ! -e "$stand/go" ]; do sleep 0.05; done ;;
  cut-off) head -c "$(cat "$stand/apptainer.size")" "$stand/image.sif" >"$destination"; exit 0 ;;
  esac
  cp "$stand/image.sif" "$destination"
  ;;
esac
"""

# Jobs lie in slurm/<id>: `name`, `state` and the script that was submitted.
_SBATCH = r"""#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/sbatch.calls"
env | grep '^SBATCH_' >"$stand/sbatch.environment"
mode=$(cat "$stand/sbatch.mode" 2>/dev/null)
case $mode in
down) echo 'sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)' >&2
  exit 1 ;;
refuse) echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2; exit 1 ;;
lost) echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1 ;;
esac
for script; do :; done
id=$(($(cat "$stand/slurm/next") + 1))
echo "$id" >"$stand/slurm/next"
mkdir "$stand/slurm/$id"
sed -n 's/^#SBATCH --job-name=//p' "$script" >"$stand/slurm/$id/name"
echo "$script" >"$stand/slurm/$id/script"
cat "$stand/sbatch.state" >"$stand/slurm/$id/state" 2>/dev/null || echo PENDING >"$stand/slurm/$id/state"
pwd >"$stand/slurm/$id/folder"
if [ "$mode" = answer-lost ]; then
  echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2
  exit 1
fi
if [ "$mode" = run ]; then
  SLURM_JOB_ID=$id sh "$script" >"${script%/*}/out" 2>"${script%/*}/err"
  echo COMPLETED >"$stand/slurm/$id/state"
fi
echo "$id;cluster"
"""

_SQUEUE = r"""#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/squeue.calls"
if [ -e "$stand/squeue.down" ]; then
  echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2
  exit 1
fi
[ -z "${SQUEUE_FORMAT2:-}" ] || { echo 'squeue: error: -o and -O are mutually exclusive' >&2; exit 1; }
[ -z "${SQUEUE_PARTITION:-}${SQUEUE_NAMES:-}" ] || exit 0
name='' job='' format='%i' states=' PENDING RUNNING SUSPENDED COMPLETING CONFIGURING '
while [ $# -gt 0 ]; do
  case $1 in
  -h) ;;
  -t) states=$2; shift ;;
  -n) name=$2; shift ;;
  -j) job=$2; shift ;;
  -o) format=$2; shift ;;
  -u) shift ;;
  esac
  shift
done
if [ -n "$job" ] && [ ! -d "$stand/slurm/$job" ]; then
  echo 'slurm_load_jobs error: Invalid job id specified' >&2
  exit 1
fi
for folder in "$stand"/slurm/*/; do
  [ -d "$folder" ] || continue
  id=$(basename "$folder")
  state=$(cat "$folder/state")
  [ -z "$name" ] || [ "$name" = "$(cat "$folder/name")" ] || continue
  [ -z "$job" ] || [ "$job" = "$id" ] || continue
  case $states in all) ;; *" $state "*) ;; *) continue ;; esac
  reason=$(cat "$folder/reason" 2>/dev/null || echo None)
  node=$(cat "$folder/node" 2>/dev/null)
  name=$(cat "$folder/name")
  echo "$format" | sed "s/%i/$id/; s/%T/$state/; s/%r/$reason/; s/%N/$node/; s/%u/$(id -un)/; s/%j/$name/" |
    sed "s|%k|$(cat "$folder/comment" 2>/dev/null)|; s|%Z|/home|; s|%o|$(cat "$folder/command" 2>/dev/null)|"
done
"""

_SCANCEL = r"""#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/scancel.calls"
[ ! -e "$stand/squeue.down" ] || { echo 'scancel: error: Unable to contact slurm controller' >&2; exit 1; }
[ ! -d "$stand/slurm/$1" ] || [ -e "$stand/scancel.deaf" ] || echo CANCELLED >"$stand/slurm/$1/state"
"""

_SACCT = r"""#!/bin/sh
stand=@STAND@
cat "$stand/sacct" 2>/dev/null || { echo 'Slurm accounting storage is disabled' >&2; exit 1; }
"""

#: What makes scripts wait, made quick. The hour-long waits of tests that look for a hang stay real.
_SLEEP = r"""#!/bin/sh
stand=@STAND@
echo "$*" >>"$stand/sleep.calls"
exec /bin/sleep "$(cat "$stand/sleep" 2>/dev/null || echo "$1")"
"""

_PROGRAMS = {
    "apptainer": _APPTAINER,
    "sbatch": _SBATCH,
    "squeue": _SQUEUE,
    "scancel": _SCANCEL,
    "sacct": _SACCT,
    "sleep": _SLEEP,
}


@dataclass
class SiteStand:
    """A site. `root` is its store, `folder` where its stand-ins live; `tell` and `said` write and read their files."""

    folder: Path
    root: Path

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        (self.folder / "slurm").mkdir(parents=True)
        (self.folder / "slurm/next").write_text("100\n")
        programs.mkdir()
        for name, text in _PROGRAMS.items():
            (programs / name).write_text(text.replace("@STAND@", shlex.quote(str(self.folder))))
            (programs / name).chmod(0o755)
        self.serve_sif(sif_bytes(DIGEST))

    @property
    def prelude(self) -> str:
        return f"PATH={shlex.quote(str(self.folder / 'bin'))}:$PATH"

    @property
    def site(self) -> Site:
        return Site(
            name="here",
            login=Login("localhost", transport="local"),
            store=Store(str(self.root)),
            runtime=Runtime(prelude=self.prelude, pull_timeout_s=60),
            slurm=Slurm(
                partition="debug",
                prelude=self.prelude,
                queue_deadline_s=20,
                run_deadline_s=30,
                poll_interval_s=10,
            ),
        )

    @property
    def node(self) -> LocalNode:
        return LocalNode(self.site)

    @property
    def sif(self) -> Path:
        return self.root / "sif/app" / f"{DIGEST.hex}.sif"

    @property
    def provenance_file(self) -> Path:
        return self.sif.with_suffix(".json")

    @property
    def provenance(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.provenance_file.read_text())
        return document

    def serve_sif(self, content: bytes) -> None:
        """What the next pulls bring."""
        self.tell("image.sif", content)

    def tell(self, name: str, content: str | bytes = "") -> None:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def untell(self, name: str) -> None:
        (self.folder / name).unlink()

    def said(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def calls(self, program: str, word: str = "") -> list[str]:
        return [line for line in self.said(f"{program}.calls").splitlines() if line.startswith(word)]

    def run(self, script: str, **values: str | int) -> Outcome:
        """Run one of the site's scripts with these values."""
        return self.node.run_script(self.script(script, **values), timeout_s=30)

    def script(self, name: str, **values: str | int) -> str:
        """The text of one of the site's scripts for this store."""
        return render_site_script(name, **{"root": str(self.root), "run": "01RUN", "lock_wait": 0, **values})

    def ask(self, script: str, **values: str | int) -> Answer:
        """Run one of the site's scripts, which must succeed, and read its answer."""
        outcome = self.run(script, **values)
        assert outcome.ok, (outcome.stdout, outcome.stderr)
        return parse_answer_lines(outcome.stdout)

    def job(self, number: int) -> Path:
        """The folder of a job that the stand-in of sbatch took."""
        return self.folder / "slurm" / str(number)

    def jobs(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "slurm").iterdir() if path.is_dir())

    def seen(self) -> Mapping[str, tuple[int, int, str]]:
        """Every file and link of the store: inode, mtime in ns, and content or link text. Leases have come and gone."""
        return {
            str(path.relative_to(self.root)): (
                path.lstat().st_ino,
                path.lstat().st_mtime_ns,
                str(path.readlink()) if path.is_symlink() else sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(self.root.rglob("*"))
            if path.is_symlink() or path.is_file()
        }


def built_image(name: str = "app", digest: Digest = DIGEST, version: str = "1.0") -> BuiltImage:
    """An image that a registry confirmed."""
    tag = parse_image_reference(f"registry.example.org/team/{name.lower()}:{version}")
    return BuiltImage(name, version, tag.with_digest(digest), digest, 40_000, release_tags=(tag,), blobs=3)
