#!/bin/sh
# Runs in the container: do the injected libraries load, is the driver there, does it initialise. Argument: the mode.
mode=$1
loader=
for file in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 /lib/ld-musl-*.so.1; do
  if [ -x "$file" ]; then loader=$file; break; fi
done
bad=0
for library in /.singularity.d/libs/*.so*; do
  if [ ! -e "$library" ] || [ -z "$loader" ]; then continue; fi
  said=$("$loader" --list "$library" 2>&1) || true
  case $said in
  *'not found'* | *'Error relocating'* | *'Error loading'*)
    printf '%s does not load:\n%s\n' "$library" "$said"
    bad=1 ;;
  esac
done
[ "$bad" -eq 0 ] || exit 11
if [ "$mode" = rocm ]; then
  [ -e /dev/kfd ] || { echo 'no /dev/kfd in the container'; exit 12; }
else
  [ -e /proc/driver/nvidia/version ] && [ -e /dev/nvidiactl ] || { echo 'no NVIDIA driver in the container'; exit 12; }
fi
python=$(command -v python3)
if [ "$mode" != rocm ] && [ -n "$python" ]; then
  # cuInit is what every CUDA program calls first.
  "$python" -s -c 'import ctypes, sys
code = ctypes.CDLL("libcuda.so.1").cuInit(0)
print("hpcbake-figure cuInit=%d" % code)
sys.exit(0 if code == 0 else 1)' || exit 13
  exit 0
fi
for tool in nvidia-smi rocminfo rocm-smi; do
  if command -v "$tool" >/dev/null 2>&1; then
    "$tool" || exit 13
    echo "hpcbake-figure tried_with=$tool"
    exit 0
  fi
done
exit 14
