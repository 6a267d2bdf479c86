"""Whole systems that are known to work: this machine's own files, and the lab's images. None raises a false alarm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpcbake.adapters.layout import walk_root
from hpcbake.check.judge import judge
from hpcbake.image.layer import LayerEntry
from hpcbake.image.manifest import ImageConfig
from hpcbake.image.scan import scan_folder
from hpcbake.image.tar import EntryKind
from hpcbake.model.verdict import Severity
from hpcbake.sites.profile import find_profile
from tests.integration.conftest import RunningLab

#: What people put on a machine by hand need not be in order.
_OWN = ("usr/local/", "usr/src/")


def system_files() -> Iterator[LayerEntry]:
    """/usr, /etc and the top folders' links of this machine."""
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        place = Path("/") / name
        if place.is_symlink():
            yield LayerEntry(name, EntryKind.SYMLINK, 0o777, os.readlink(place))  # noqa: PTH115  (as written)
    for top in ("usr", "etc"):
        yield LayerEntry(top, EntryKind.FOLDER, 0o755)
        for entry in walk_root(Path("/") / top, []):
            path = f"{top}/{entry.path}"
            if not path.startswith(_OWN):
                yield entry._replace(path=path)


@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/lib64").is_symlink(), reason="needs a system whose /lib64 is a link into /usr")
def test_this_machine() -> None:
    """Thousands of programs and libraries that start every day: no error, nothing unknown."""
    image = scan_folder("/", system_files(), ImageConfig(architecture="amd64", os="linux"), [])
    report = judge(image, find_profile("rocky-8.10"))
    grave = [finding for finding in report.findings if finding.severity in (Severity.ERROR, Severity.UNKNOWN)]
    assert not [finding.message for finding in grave]
    programs = report.facts["programs"]
    assert isinstance(programs, int) and programs > 100


@pytest.mark.lab
@pytest.mark.siteless
@pytest.mark.parametrize("name", ["BASE", "BASE_MINIMAL", "NEWER_BASE"])
@pytest.mark.parametrize("profile", ["rocky-8.10", "rhel-9", "debian-12", "ubuntu-24.04"])
def test_images_of_the_lab(lab: RunningLab, tmp_path: Path, name: str, profile: str) -> None:
    """Base images that jobs run on: they pass for every shipped profile."""
    argv = [sys.executable, "-m", "hpcbake", "check", lab.env[name], "--profile", profile, "--json"]
    environ = {**lab.env, "HPCBAKE_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(argv, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["sites"][0]["verdict"] in ("PASS", "WARN")
