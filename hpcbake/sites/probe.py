"""The probe: one look at a login node, over one connection, from which a site config can be drafted."""

from __future__ import annotations

from collections.abc import Sequence

from hpcbake.model.late import dataclass
from hpcbake.model.ports import Node
from hpcbake.model.site import Site
from hpcbake.sites.facts import SiteFacts, parse_facts
from hpcbake.sites.hostlibraries import LibraryFacts, Piece, parse_pieces, read_libraries
from hpcbake.sites.scripts import read_answer, render_site_script

#: Every question has 15 s of its own; many of them may hang on the same dead file system.
_PROBE_S = 300.0
_PIECES_S = 120.0


@dataclass(frozen=True)
class Probed:
    """What one probe saw: the login node's facts, and its host libraries as the ELF reader saw them."""

    facts: SiteFacts
    libraries: tuple[LibraryFacts, ...]


def probe_site(site: Site, node: Node, *, registries: Sequence[str] = ()) -> Probed:
    """Ask the login node of `site` what it is. Looks, and changes nothing. Raises as `node.run_script` does."""
    script = render_site_script(
        "probe",
        root="",
        run="probe",
        prelude=site.runtime.prelude,
        program=site.runtime.program,
        registries=" ".join(registries),
    )
    outcome = node.run_script(script, timeout_s=_PROBE_S)
    facts = parse_facts(read_answer(outcome, site=site.name, step="probe", needs=("arch", "kernel")))

    def fetch(pieces: Sequence[Piece]) -> list[bytes]:
        wanted = "\n".join(f"{offset} {length} {path}" for offset, length, path in pieces)
        script = render_site_script("pieces", root="", run="probe", wanted=wanted)
        return parse_pieces(read_answer(node.run_script(script, timeout_s=_PIECES_S), site=site.name, step="probe"))

    return Probed(facts, tuple(read_libraries(facts.libraries, fetch, facts.nv_names)))
