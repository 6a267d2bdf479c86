"""After a night: what nobody needs is cleared from the sites' stores, where the project says how much to keep."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hpcbake.cli.fleet import ask_sites, new_run
from hpcbake.cli.rollback import who
from hpcbake.deliver.gc import GcResult, collect, stuck_error
from hpcbake.deliver.status import look_at_store
from hpcbake.model.site import Site
from hpcbake.report.printable import printable
from hpcbake.ship.ports import SiteNode
from hpcbake.ship.project_parts import Retention

#: A night does not wait long for somebody who works on a store: tomorrow is another one.
_LOCK_WAIT_S = 10


def clear_up(sites: Sequence[Site], retention: Retention) -> list[str]:
    """Clear the stores of these sites, if the project says how many releases stay; what went wrong, in lines.

    Trouble here is no failure of the night: users have what they shall have, and the next night tries again.
    """
    keep = retention.releases
    if keep is None or not sites:
        return []
    run, _ = new_run()

    def act(site: Site, node: SiteNode) -> GcResult:
        look = look_at_store(site, node=node)
        days = retention.days
        return collect(site, look, node=node, keep=keep, days=days, run=run, by=who(), lock_wait_s=_LOCK_WAIT_S)

    problems: list[str] = []
    for answer in ask_sites(sites, act):
        if answer.error is not None:
            problems.append(f"{answer.site.name}: nothing was cleared: {answer.error.message}")
            continue
        result = answer.result
        assert result is not None
        if result.doubt:
            problems.append(f"{answer.site.name}: nothing was cleared: {result.doubt}")
        if stuck := stuck_error(result):
            problems.append(stuck.message)
        gone = [decision for decision in result.decisions if decision.removes]
        if gone:
            click.echo(
                f"{answer.site.name}: cleared {len(gone)} of what nobody needs, {result.freed_bytes / 1e6:.1f} MB",
                err=True,
            )
    return [printable(problem) for problem in problems]
