"""The page of licences: every package that `pip install hpcbake` brings, and under which terms.

The table is kept by hand, so that the page is the same whatever versions are installed where it is made; `check`
compares it with the metadata of what is installed, without a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from tables import NOTE, code, table

#: package → SPDX expression
LICENCES = {
    "bcrypt": "Apache-2.0",
    "cffi": "MIT-0",
    "click": "BSD-3-Clause",
    "cryptography": "Apache-2.0 OR BSD-3-Clause",
    "decorator": "BSD-2-Clause",
    "deprecated": "MIT",
    "fabric": "BSD-2-Clause",
    "invoke": "BSD-2-Clause",
    "isal": "PSF-2.0",
    "jinja2": "BSD-3-Clause",
    "lark": "MIT",
    "markdown-it-py": "MIT",
    "markupsafe": "BSD-3-Clause",
    "mdurl": "MIT",
    "paramiko": "LGPL-2.1",
    "platformdirs": "MIT",
    "pycparser": "BSD-3-Clause",
    "pygments": "BSD-2-Clause",
    "pynacl": "Apache-2.0",
    "python-hcl2": "MIT",
    "pyyaml": "MIT",
    "regex": "Apache-2.0 AND CNRI-Python",
    "rich": "MIT",
    "spython": "MPL-2.0",
    "tenacity": "Apache-2.0",
    "typing-extensions": "PSF-2.0",
    "urllib3": "MIT",
    "wrapt": "BSD-2-Clause",
    "zstandard": "BSD-3-Clause",
}
#: Packages that only some versions of Python need.
_SOMETIMES = {"typing-extensions": "Python 3.10 to 3.12", "cffi": "", "pycparser": ""}


def render_licences() -> str:
    """The page docs/reference/licences.md."""
    direct = {_normal(Requirement(text).name) for text in _requirements("hpcbake")}
    rows = [
        (code(name), licence, "hpcbake itself" if name in direct else _SOMETIMES.get(name) or "one of those")
        for name, licence in LICENCES.items()
    ]
    return (
        f"# Licences\n\n{NOTE}\n"
        "hpcbake is under Apache-2.0. Installing it brings these packages from the package index; none of them is\n"
        "copied into hpcbake's own wheel, sdist or source. paramiko is used as an unchanged library, as its licence\n"
        "(LGPL) allows for programs under any terms.\n\n" + table(("package", "licence", "needed by"), rows) + "\n"
        "Called as programs, if they are there, and not distributed with hpcbake: docker with buildx, OpenSSH, git,\n"
        "Apptainer or SingularityCE, Slurm.\n"
    )


def check_licences(installed: dict[str, str] | None = None) -> Iterator[str]:
    """Complaints: an installed package that the table lacks, or that says another licence of itself."""
    for name, said in (installed_licences() if installed is None else installed).items():
        licence = LICENCES.get(name)
        if licence is None:
            yield f"docs/licences.py: lacks {name}, which hpcbake needs (it says of itself: {said or 'nothing'})"
        elif said and not _agree(licence, said):
            yield f"docs/licences.py: {name} is listed under {licence}, and says of itself {said}"


def installed_licences() -> dict[str, str]:
    """Every package that an installed hpcbake needs, with what its metadata says of its licence."""
    found: dict[str, str] = {}
    waiting = ["hpcbake"]
    while waiting:
        for text in _requirements(waiting.pop()):
            requirement = Requirement(text)
            name = _normal(requirement.name)
            if name not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found[name] = _said(metadata.metadata(name))
                waiting.append(name)
    return found


def _requirements(name: str) -> list[str]:
    return [text for text in metadata.requires(name) or [] if "extra ==" not in text]


def _said(package: metadata.PackageMetadata) -> str:
    classifiers = [text.rsplit(" :: ", 1)[-1] for text in package.get_all("Classifier") or [] if "License ::" in text]
    return package.get("License-Expression") or " ".join(classifiers) or (package.get("License") or "")[:60]


def _agree(listed: str, said: str) -> bool:
    """True when what a package says in its own words names a family that is listed, or no family at all."""
    families = {"Apache", "MIT", "MPL", "Mozilla", "LGPL", "GPL", "BSD", "PSF", "Python Software Foundation", "ISC"}
    named = {family for family in families if re.search(rf"\b{family}\b", said)}
    aliases = {"Mozilla": "MPL", "Python Software Foundation": "PSF"}
    return not named or any(re.search(rf"\b{aliases.get(family, family)}\b", listed) for family in named)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
