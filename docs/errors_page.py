"""The page of all errors, from the catalogue."""

from __future__ import annotations

from tables import NOTE, code, paragraph, table

from hpcbake.catalogue import AREAS, ENTRIES, RETIRED, Entry


def render_errors() -> str:
    """Every error by area: one heading, and so one link, for each code."""
    parts = [
        f"# Errors\n\n{NOTE}\n"
        "Every failure has a code such as `HB-PULL-007`, shown behind its message and in reports (`error_code`).\n"
        "`hpcbake explain HB-PULL-007` prints what stands here. Codes are never given twice. What belongs to a\n"
        "bake file has [codes of its own](bake-codes.md), as have [lint](lint-rules.md) and the\n"
        "[check](check-rules.md). By exit code: [when it fails](../how-to/when-it-fails.md).\n\n"
        + table(
            ("code", "kind", "exit code"),
            ((f"[{entry.code}](#{entry.anchor})", code(entry.kind), _exits(entry)) for entry in ENTRIES),
        )
    ]
    for area, about in AREAS.items():
        parts.append(f"\n## {about}\n")
        parts += [_section(entry) for entry in ENTRIES if entry.code.split("-")[1] == area]
    if RETIRED:
        parts.append(f"\n## No longer given\n\n{paragraph(', '.join(sorted(RETIRED)))}")
    return "".join(parts)


def _section(entry: Entry) -> str:
    return (
        f"\n### {entry.code}\n\n"
        f"Kind {code(entry.kind)}, exit code {_exits(entry)}.\n\n"
        f"{paragraph(entry.means)}\n```\n{entry.looks}\n```\n\n{paragraph('**What to do:** ' + entry.remedy)}"
    )


def _exits(entry: Entry) -> str:
    return ", ".join(f"{int(number)} {number.name}" for number in entry.exits)
