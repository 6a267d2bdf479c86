"""Which start of this machine it is: process numbers of another one mean nothing."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """This machine's boot id, or `unknown` where the kernel has none (macOS)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else "unknown"
