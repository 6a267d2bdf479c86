#!/bin/sh
# hpc-app of registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; written by hpcbake
exec apptainer exec /scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif hpc-app "$@"
