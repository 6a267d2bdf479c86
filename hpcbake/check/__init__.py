"""BuiltImage and Site to CompatReport: will this image run there, and if not, what to change."""

from __future__ import annotations

from hpcbake.check.judge import judge

__all__ = ["judge"]
