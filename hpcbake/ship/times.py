"""Times as reports write them, and the names of runs."""

from __future__ import annotations

from datetime import datetime, timezone

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def render_utc(seconds: float) -> str:
    """Seconds since 1970 as `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def run_id(seconds: float, random: int) -> str:
    """A ULID: 26 characters that sort by time. `random` gives its lower 80 bits."""
    number = (int(seconds * 1000) << 80) | (random & ((1 << 80) - 1))
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
