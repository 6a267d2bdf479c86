"""Installs a gate at a site, and knows what the site's config makes of the values that a gate pins."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable

from hpcbake.deliver.deliver import sbatch_argv
from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.examine import sbatch_options
from hpcbake.sites.gate import SHIP_SCRIPTS, render_gate
from hpcbake.sites.scripts import read_answer, render_site_script

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class InstalledGate:
    """Where a gate lies, the address that the site sees of this machine, and how many keys name it already."""

    path: str
    seen_from: str
    keys: int


def site_gate(site: Site, *, made_by: str, more: Iterable[str] = ()) -> str:
    """The gate of this site: what a nightly ship needs, and the scripts `more`. Pure."""
    pins = {"sbatch_command": [shlex.join(sbatch_argv(site))], "sbatch_options": [shlex.join(sbatch_options(site))]}
    return render_gate(site, made_by=made_by, scripts=[*SHIP_SCRIPTS, *more], more_pins=pins)


def install_gate(site: Site, gate: str, *, node: Node) -> InstalledGate:
    """Put the gate into ~/.hpcbake there, by one rename; needs a login with a shell. Raises SiteResourceError."""
    digest = hashlib.sha256(gate.encode()).hexdigest()
    script = render_site_script(
        "admit", root=site.store.root, run="admit", site_name=site.name, gate=gate, gate_sha256=digest
    )
    outcome = node.run_script(script, timeout_s=_TIMEOUT_S)
    answer = read_answer(outcome, site=site.name, step="install the gate", needs=("installed",))
    keys = answer.find("restricted")
    return InstalledGate(answer.find("installed"), answer.find("seen_from"), int(keys) if keys.isdigit() else 0)
