#!/bin/sh
# hpc-app of registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; written by hpcbake
command -v apptainer >/dev/null 2>&1 || {
:
if [ -f /etc/profile.d/modules.sh ]; then
  . /etc/profile.d/modules.sh
fi
module load apptainer
} </dev/null >&2
exec apptainer exec --nv --bind /gpfs/proj:/gpfs/proj:rw --bind '/opt/my data:/data:ro' /gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif hpc-app "$@"
