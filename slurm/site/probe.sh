#!/bin/sh
# What a login node is: asked once, told as it was said. Looks, and changes nothing.
# Values: prelude program registries
# shellcheck disable=SC2154,SC1090,SC2016  # what stands in single quotes is for the inner shell
# soon COMMAND...: no question here may hang on a dead file system or a daemon that does not answer.
soon() { timeout -k 2 15 "$@" 2>/dev/null </dev/null; }
PATH=$PATH:/usr/sbin:/sbin:/usr/local/bin

# ---- the machine -------------------------------------------------------------------------------------------
user=$(id -un)
say64 os_release </etc/os-release 2>/dev/null
say arch "$(uname -m)"
say kernel "$(uname -r)"
say host "$me"
say user "$user"
say groups "$(id -Gn)"
say clock "$(date +%s)"
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
say cpu_model "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
say cpu_flags "$(sed -n 's/^flags[^:]*: //p' /proc/cpuinfo | head -n 1)"
say nvidia_kernel "$(head -n 1 /proc/driver/nvidia/version 2>/dev/null)"
soon nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -n 16 | say64 nvidia_smi
say cuda "$(soon nvidia-smi | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p' | head -n 1)"
if [ -e /dev/kfd ]; then say rocm "$(cat /sys/module/amdgpu/version 2>/dev/null || echo yes)"; fi
say python "$(soon python3 --version || echo none)"

# ---- modules and the container runtime ----------------------------------------------------------------------
prepare /dev/null
starts=$(ls /etc/profile.d/*mod*.sh /usr/share/lmod/lmod/init/sh /usr/share/modules/init/sh 2>/dev/null)
for start in $starts; do
  seen=$(soon sh -c '. "$1" >/dev/null 2>&1; command -v module >/dev/null && { printf "%s " "${LMOD_VERSION:+Lmod $LMOD_VERSION}"
    [ -n "${LMOD_VERSION:-}" ] || module --version 2>&1; }' sh "$start" | tr '\n' ' ')
  [ -z "$seen" ] || say modules "$start|$seen"
done
runtime=
for name in "$program" apptainer singularity; do
  if [ -z "$runtime" ] && has "$name"; then runtime=$(command -v "$name"); say runtime "$name|$runtime|prelude"; fi
done
if [ -z "$runtime" ]; then
  for start in $starts; do
    [ -z "$runtime" ] || break
    offered=$(soon sh -c '. "$1" >/dev/null 2>&1; module -t avail 2>&1' sh "$start" |
      grep -iE '(^|/)(apptainer|singularity)([-/]|$)' | sed 's/(.*//; s/ .*//' | head -n 5)
    for name in apptainer singularity $offered; do
      found=$(soon sh -c '. "$1" >/dev/null 2>&1; module load "$2" >/dev/null 2>&1
        command -v apptainer || command -v singularity' sh "$start" "$name" | tail -n 1)
      case $found in
        /*) runtime=$found; say runtime "$name|$runtime|module $start"; break ;;
      esac
    done
  done
fi
if [ -z "$runtime" ] && has bash; then
  found=$(soon bash -lc 'command -v apptainer || command -v singularity' | tail -n 1)
  case $found in /*) runtime=$found; say runtime "${found##*/}|$runtime|login shell" ;; esac
fi
if [ -n "$runtime" ]; then
  say runtime_version "$(soon "$runtime" --version | head -n 1)"
  # apptainer makes its folder in the home of whoever asks, unless that cannot be made.
  config() { soon env APPTAINER_CONFIGDIR=/proc/none "$runtime" buildcfg; }
  config >/dev/null && config | say64 buildcfg
  built() { config | sed -n "s/^$1=//p" | head -n 1; }
  starter=$(built LIBEXECDIR)/${runtime##*/}/bin/starter-suid
  if [ -u "$starter" ]; then say setuid yes; else say setuid no; fi
  settings=$(built APPTAINER_CONFDIR)
  [ -n "$settings" ] || settings=$(built SINGULARITY_CONFDIR)
  grep -E '^ *(allow setuid|always use (nv|rocm)|bind path) *=' "$settings/${runtime##*/}.conf" 2>/dev/null | say64 runtime_conf
  grep -vE '^ *(#|$)' "$settings/nvliblist.conf" 2>/dev/null | head -n 200 | say64 nvliblist
fi
if soon unshare -Ur true; then say userns yes; else say userns "no $(cat /proc/sys/user/max_user_namespaces 2>/dev/null)"; fi

# ---- Slurm --------------------------------------------------------------------------------------------------
if ! has sbatch && has bash; then
  found=$(soon bash -lc 'command -v sbatch' | tail -n 1)
  case $found in /*) PATH=$PATH:${found%/*}; say slurm_path "${found%/*}" ;; esac
fi
if has sbatch; then
  say slurm "$(soon sinfo --version)"
  soon scontrol show partition -o | head -c 400000 | say64 partitions
  soon sinfo -h -o '%R|%D|%f|%G|%c|%m|%N' | head -c 400000 | say64 nodes
  soon scontrol show config | grep -E '^ *(ClusterName|AccountingStorageType|AccountingStorageEnforce|MinJobAge|MpiDefault) ' | say64 slurm_config
  soon sacctmgr -nP show assoc user="$user" format=Account,Partition,QOS,DefaultQOS | head -c 100000 | say64 associations
  say default_account "$(soon sacctmgr -nP show user "$user" format=DefaultAccount | head -n 1)"
  soon sshare -hPU -o Account | sort -u | head -n 100 | say64 shares
  say slurm_answers "$(timeout 15 scontrol ping 2>&1 </dev/null | tr '\n' ' ')"
fi

# ---- file systems -------------------------------------------------------------------------------------------
place() {  # place NAME FOLDER: one line, the path last
  case $2 in /*) ;; *) return 0 ;; esac
  soon test -d "$2" || return 0
  room=$(soon df -PTk "$2" | awk 'NR == 2 {print $2 "|" $5}')
  mount=$(soon df -Pk "$2" | awk 'NR == 2 {print $6}')
  options=$(awk -v at="$mount" '$2 == at {o = "," $4 ","} END {print (o ~ /,noexec,/ ? "noexec" : "") (o ~ /,ro,/ ? "ro" : "")}' /proc/mounts)
  if soon test -w "$2"; then mine=yes; else mine=no; fi
  say place "$1|${room:-unknown|0}|$(room_in "$2" i)|$mine|$options|$2"
}
place HOME "${HOME:-}"
for name in SCRATCH WORK WORKDIR PROJECT DATA TMPDIR; do eval "place $name \"\${$name:-}\""; done
for folder in /scratch "/scratch/$user" /work "/work/$user" /project /projects /data /lustre /gpfs /tmp /dev/shm; do place '' "$folder"; done

# ---- registries ---------------------------------------------------------------------------------------------
for registry in $registries; do reach "$registry"; done
say proxy "${https_proxy:-${HTTPS_PROXY:-}}"

# ---- libraries that are put into containers, and the host's own ----------------------------------------------
names='lib(cuda|nvidia|nvcuvid|nvoptix|EGL_nvidia|GLX_nvidia|GLESv[12].*_nvidia|vdpau_nvidia|GLX|GLdispatch|OpenGL|EGL)[^/]*'
names="$names|lib(hsa-runtime64|amdhip64|drm_amdgpu|amd_comgr|rocm_smi64)|lib(mpi|mpich|mpifort|open-rte|open-pal|prrte)[^/]*"
names="$names|lib(pmix|pmi2?|slurm[a-z]*|munge)|lib(ucp|uct|ucs|ucm)|lib(fabric|ibverbs|rdmacm|psm2)"
{
  soon ldconfig -p | sed -n 's/.*x86-64[^>]*=> //p; s/.*AArch64[^>]*=> //p' |
    grep -E "/($names)\\.so[.0-9]*\$|/(libc\\.so\\.6|libstdc\\+\\+\\.so\\.6)\$"
  for library in /usr/lib64/slurm/libslurmfull.so /usr/lib/*/slurm*/libslurmfull.so /opt/slurm/lib*/slurm/libslurmfull.so \
    /opt/pmix/*/lib*/libpmix.so.[0-9] /usr/lib64/openmpi/lib/libmpi.so.[0-9][0-9] /usr/lib64/mpich/lib/libmpi.so.[0-9][0-9] \
    /opt/cray/pe/mpich/default/ofi/gnu/*/lib/libmpi_gnu*.so.[0-9][0-9]; do
    [ ! -f "$library" ] || printf '%s\n' "$library"
  done
} | sort -u | head -n 100 | while IFS= read -r library; do
  real=$(soon readlink -f "$library") && [ -r "$real" ] && say library "$(size_of "$real")|$library|$real"
done
