-- Written by hpcbake; changes are lost with the next promotion.
help("hpc-app 1.0\010image   registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\010sha256  fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98fedcba98\010run     apptainer exec $HPC_APP_SIF COMMAND\010on PATH hpc-app g++\010cite    registry.example.org/team/hpc-app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
whatis("hpc-app 1.0")
conflict("hpc-app")
setenv("HPC_APP_SIF", "/gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.sif")
prepend_path("PATH", "/gpfs/proj/hpcbake/sif/hpc-app/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.bin")
