"""Finds the smoke jobs of a site that nobody waits for, and notes that somebody has looked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.scripts import Answer, read_answer, render_site_script
from hpcbake.smoke.submit import SCRIPT_TIMEOUT_S, Submission, scheduler_values

_ATTEMPT = re.compile(
    r".*/\.hpcbake/jobs/(?P<image>[A-Za-z0-9_-]+)/(?P<hex>[0-9a-f]{64})/(?P<test>[^/]+)-(?P<key>[0-9a-f]{16})/attempt-[0-9]+"
)


def find_left_jobs(site: Site, *, node: Node) -> list[tuple[str, Submission]]:
    """Digest and submission of each job that was left to itself. Raises SiteUnreachableError or SiteTrustError."""
    answer = _ask(site, node, seen=())
    found: list[tuple[str, Submission]] = []
    for block in answer.blocks("attempt"):
        attempt = block.find("attempt")
        match = _ATTEMPT.fullmatch(attempt)
        if match:
            job_id, name = block.find("job").removeprefix("none"), block.find("name")
            submission = Submission(match["image"], match["test"], match["key"], job_id, attempt, name, is_new=True)
            found.append((f"sha256:{match['hex']}", submission))
    return found


def mark_seen(submissions: Sequence[Submission], site: Site, *, node: Node) -> None:
    """Their ends are known: the next look does not show them again."""
    if submissions:
        _ask(site, node, seen=[submission.attempt for submission in submissions])


def _ask(site: Site, node: Node, seen: Sequence[str]) -> Answer:
    script = render_site_script(
        "collect", root=site.store.root, run="collect", lock_wait=0, seen="\n".join(seen), **scheduler_values(site)
    )
    outcome = node.run_script(script, timeout_s=SCRIPT_TIMEOUT_S)
    return read_answer(outcome, site=site.name, step="look for smoke jobs", needs=("collected",))
