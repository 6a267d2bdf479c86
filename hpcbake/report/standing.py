"""What is where after a run that was stopped: per site and image, what users have, and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from hpcbake.report.records import ImageRecord, Outcome, ShipReport, SiteRecord

#: The last stage that came to its end, in words.
_REACHED = {"check": "checked", "deliver": "delivered", "smoke": "delivered and tested"}
_WELL = (Outcome.OK.value, Outcome.UNCHANGED.value)


def standing_lines(report: ShipReport) -> list[str]:
    """One line per image and site: what was done, and whether anything that users see has moved."""
    rows = [(site.name, image.target, _standing(image)) for site in report.sites for image in site.images]
    if not rows:
        return ["no site was touched: users have what they had"]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return [f"{site:<{widths[0]}}  {target:<{widths[1]}}  {words}" for site, target, words in rows]


def _standing(image: ImageRecord) -> str:
    done = [stage for stage in image.stages if stage.status in _WELL]
    if image.doing == "promote":
        return f"was being promoted: users have {_have(image.before)} or {_short(image.wanted)}; hpcbake status tells"
    if image.outcome is Outcome.UNCHANGED:
        return f"unchanged: users have {_short(image.wanted)}, as wanted"
    if any(stage.name == "promote" for stage in done):
        return f"promoted: users have {_short(image.wanted)}"
    reached = next((_REACHED[stage.name] for stage in reversed(done) if stage.name in _REACHED), "")
    words = ", ".join(filter(None, (reached, f"stopped in {image.doing}" if image.doing else "")))
    return f"{words or 'not begun'}; nothing that users see has moved: they have {_have(image.after or image.before)}"


def _have(release: object) -> str:
    digest = getattr(release, "digest", "")
    return _short(digest) if digest else "what they had"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "?"


def left_lines(report: ShipReport) -> list[str]:
    """What may still go on at sites, each with the site's name."""
    return [f"{site.name}: {line}" for site in report.sites for line in site.left_behind]


def next_commands(report: ShipReport) -> list[tuple[str, str]]:
    """The commands that go on from here, each with what it does."""
    commands = [(shlex.join(report.run.command), "resumes: what is finished is not done again")]
    waiting = list(_sites_with_jobs(report))
    if waiting:
        words = " ".join(f"--site {shlex.quote(site.name)}" for site in waiting)
        commands.append((f"hpcbake smoke --collect {words}", "only waits for the jobs, and tells how they ended"))
    return commands


def _sites_with_jobs(report: ShipReport) -> Iterator[SiteRecord]:
    return (site for site in report.sites if any(line.startswith("job ") for line in site.left_behind))
