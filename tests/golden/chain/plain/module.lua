-- Written by hpcbake; changes are lost with the next promotion.
help([==[
hpc-app 1.0
image   registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
sha256  fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98
run     apptainer exec $HPC_APP_SIF COMMAND
cite    registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
]==])
whatis("hpc-app 1.0")
setenv("HPC_APP_SIF", "/scratch/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif")
