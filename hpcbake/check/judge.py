"""All rules over one image for one site."""

from __future__ import annotations

from hpcbake.check.case import Case
from hpcbake.check.policy import sort_by_weight
from hpcbake.check.rules import RULES
from hpcbake.image.scan import ScannedImage
from hpcbake.model.site import Site
from hpcbake.model.verdict import CompatReport


def judge(image: ScannedImage, site: Site) -> CompatReport:
    """The verdict on `image` at `site`. Pure: the same scan and profile give the same report."""
    case = Case(image, site)
    findings = [finding for rule in RULES for finding in rule.find(case)]
    return CompatReport(site.name, image.digest, sort_by_weight(findings), collect_facts(case))


def collect_facts(case: Case) -> dict[str, object]:
    """What the verdict rests on."""
    return {
        "glibc": str(case.glibc) if case.glibc else None,
        "libc": "musl" if case.is_musl else "glibc" if case.glibc else None,
        "arch": case.image_arch,
        "programs": len(case.cast.programs),
        "hot_programs": sum(start.is_hot for start in case.starts),
        "libraries": len(case.cast.libraries),
        "layers": len(case.image.layers),
        "size_bytes": case.image.size,
        "not_checked": [
            "libraries that programs open by name at run time (dlopen)",
            "LD_LIBRARY_PATH set by modules and job scripts",
            "binaries inside zip, jar, egg and wheel archives",
        ],
    }
