"""All rules, in the order their findings are shown. One subject per file."""

from __future__ import annotations

from hpcbake.check.rule import Rule
from hpcbake.check.rules import architecture, interpreter, missing_library, symbol_versions, unread

RULES: tuple[Rule, ...] = (
    unread.RULE,
    architecture.PLATFORM,
    architecture.MACHINE,
    interpreter.RULE,
    symbol_versions.GLIBC,
    symbol_versions.RELR,
    symbol_versions.LIBSTDCXX,
    symbol_versions.OTHER,
    missing_library.RULE,
)
