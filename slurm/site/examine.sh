#!/bin/sh
# Whether a site is as its config says: what a run would need, tried as far as trying changes nothing.
# Values: root prelude program tmpdir group slurm_prelude sbatch_options
# shellcheck disable=SC2154,SC2016
soon() { timeout -k 2 20 "$@" 2>/dev/null </dev/null; }
folder_facts() {  # folder_facts WORD FOLDER: the folder, or the nearest one above it that exists
  at=$(nearest "$2")
  if [ -w "$at" ] && [ -x "$at" ]; then mine=yes; else mine=no; fi
  row=$(soon df -PTk "$at" | awk 'NR == 2 {print $2 "|" $5}')
  mount=$(soon df -Pk "$at" | awk 'NR == 2 {print $6}')
  options=$(awk -v at="$mount" '$2 == at {o = "," $4 ","} END {print (o ~ /,noexec,/ ? "noexec" : "") (o ~ /,ro,/ ? "ro" : "")}' /proc/mounts)
  say "$1" "${row:-unknown|0}|$(room_in "$at" i)|$mine|$options|$at"
}
say clock "$(date +%s)"
say host "$me"
say user "$(id -un)"
say groups "$(id -Gn)"
say arch "$(uname -m)"
say kernel "$(uname -r)"
say glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 1)"
say nvidia_kernel "$(head -n 1 /proc/driver/nvidia/version 2>/dev/null)"
folder_facts store "$root"
[ -z "$tmpdir" ] || folder_facts tmpdir "$tmpdir"

complaint=$(printf '%s\n' "$prelude" | sh -n 2>&1) || {
  say prelude_broken "$(printf '%s' "$complaint" | tail -n 1)"
  prelude=
}
complaint=$(printf '%s\n' "$slurm_prelude" | sh -n 2>&1) || say slurm_prelude_broken "$(printf '%s' "$complaint" | tail -n 1)"
printed=$(set +eu; eval "$prelude" 2>&1 </dev/null)
say prelude_said "$(printf '%s' "$printed" | tail -n 3 | tr '\n' ' ')"
prepare /dev/null
say prelude_rc "$prepared"
path=$(command -v "$program")
say program "$path"
if [ -n "$path" ]; then
  say version "$(soon "$program" --version | head -n 1)"
  # apptainer makes its folder in the home of whoever asks, unless that cannot be made.
  library=$(soon env APPTAINER_CONFIGDIR=/proc/none "$program" buildcfg | sed -n 's/^LIBEXECDIR=//p' | head -n 1)
  if [ -u "$library/${path##*/}/bin/starter-suid" ]; then say setuid yes; else say setuid no; fi
fi
if soon unshare -Ur true; then say userns yes; else say userns no; fi

if command -v sbatch >/dev/null 2>&1; then
  say sbatch "$(command -v sbatch)"
  say slurm "$(soon sinfo --version)"
  said=$(eval "timeout -k 2 30 sbatch --test-only $sbatch_options --wrap true" 2>&1 </dev/null)
  say test_rc "$?"
  printf '%s\n' "$said" | tail -n 5 | say64 test_said
  soon scontrol show partition -o | head -c 400000 | say64 partitions
  soon scontrol show config | grep -E '^ *AccountingStorageType ' | say64 slurm_config
fi
