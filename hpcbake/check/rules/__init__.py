"""All rules, in the order their findings are shown. One subject per file."""

from __future__ import annotations

from hpcbake.check.rule import Rule
from hpcbake.check.rules import (
    architecture,
    cpu_level,
    cuda,
    exported,
    glibc_pieces,
    injected,
    interpreter,
    kernel,
    missing_library,
    musl,
    python_abi,
    symbol_versions,
    unread,
    users,
)

RULES: tuple[Rule, ...] = (
    unread.RULE,
    architecture.PLATFORM,
    architecture.MACHINE,
    interpreter.RULE,
    glibc_pieces.MIXED,
    symbol_versions.GLIBC,
    symbol_versions.RELR,
    symbol_versions.LIBSTDCXX,
    symbol_versions.OTHER,
    glibc_pieces.UNBOUND,
    missing_library.RULE,
    python_abi.RULE,
    injected.INJECTED,
    injected.BOUND,
    injected.STACK,
    exported.RULE,
    kernel.KERNEL,
    kernel.TAG,
    cpu_level.RULE,
    cuda.RULE,
    musl.IMAGE,
    musl.FILES,
    users.UNREADABLE,
    users.ENTRY,
    users.SHELL,
    users.SETUID,
    users.MOUNT,
    users.SIZE,
)
