"""Libraries that belong to the host, by name: what `--nv`, `--rocm` and bound MPI or Slurm put into a container."""

from __future__ import annotations

import re

#: What the NVIDIA driver brings, as apptainer's nvliblist.conf names it.
NVIDIA = re.compile(
    r"lib(?:cuda|cudadebugger|nvidia-[a-z0-9-]+|nvcuvid|nvoptix|EGL_nvidia|GLX_nvidia|GLESv[12]\w*_nvidia|vdpau_nvidia"
    r"|nvidia-ml|nvidia-ptxjitcompiler)\.so(?:\.[0-9.]+)?"
)
#: What the AMD driver stack brings, as apptainer's rocmliblist.conf names it.
ROCM = re.compile(
    r"lib(?:hsa-runtime64|amdhip64|hsakmt|OpenCL|drm_amdgpu|amd_comgr|rocm_smi64|roc\w+)\.so(?:\.[0-9.]+)?"
)
_SLURM = re.compile(r"lib(?:slurm\w*|pmi2?|pmix|munge)\.so(?:\.[0-9.]+)?")


def provider_of(name: str) -> str:
    """The remedy for a library that the host is meant to bring; empty for all others."""
    if NVIDIA.fullmatch(name):
        return "the NVIDIA driver brings it: declare `gpu.mode: nv` in the site's profile if its nodes have GPUs"
    if ROCM.fullmatch(name):
        return "the AMD driver stack brings it: declare `gpu.mode: rocm` in the site's profile if its nodes have GPUs"
    if _SLURM.fullmatch(name):
        return "the site may bring it: declare it under `inject` in the site's profile, or install it in the image"
    return ""
