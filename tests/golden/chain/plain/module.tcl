#%Module1.0
# Written by hpcbake; changes are lost with the next promotion.
proc ModulesHelp { } {
    puts stderr "hpc-app 1.0"
    puts stderr "image   registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    puts stderr "sha256  fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98"
    puts stderr "run     apptainer exec \$HPC_APP_SIF COMMAND"
    puts stderr "cite    registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}
module-whatis "hpc-app 1.0"
conflict "hpc-app"
setenv HPC_APP_SIF "/scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif"
