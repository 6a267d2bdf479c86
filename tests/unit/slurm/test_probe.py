"""The probe's script, run by this machine's own shell: what it finds, and by which way it found it."""

from __future__ import annotations

import platform
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hpcbake.adapters.local import LocalNode
from hpcbake.model.site import Login, Runtime, Site, Store
from hpcbake.sites.draft import render_draft
from hpcbake.sites.probe import Probed, probe_site

pytestmark = pytest.mark.stand


def program(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whose programs only a login shell has on PATH."""
    tools = tmp_path / "tools" / "bin"
    program(tools / "apptainer", "echo apptainer version 1.4.5-3.el8")
    program(tools / "sbatch", ":")
    program(tools / "sinfo", "echo slurm 24.05.1")
    (tmp_path / ".bash_profile").write_text(f"echo Welcome\nPATH=$PATH:{tools}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", str(tmp_path / "tools"))
    return tmp_path


@pytest.fixture
def registry() -> Iterator[str]:
    """Something that answers as a registry does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def probed(*registries: str, prelude: str = "") -> Probed:
    site = Site("here", Login("localhost", transport="local"), Store("/"), runtime=Runtime(prelude=prelude))
    return probe_site(site, LocalNode(site), registries=registries)


@pytest.mark.skipif(
    any(map(shutil.which, ("apptainer", "singularity", "sbatch"))), reason="this machine has such programs on PATH"
)
def test_what_only_a_login_shell_finds_is_found(home: Path, registry: str) -> None:
    """apptainer and sbatch by `bash -l`; the draft puts their folder on PATH."""
    seen = probed(registry, "127.0.0.1:1")
    facts = seen.facts
    assert (facts.runtime.found_by, str(facts.runtime.version)) == ("login shell", "1.4.5")
    assert facts.slurm.folder == str(home / "tools" / "bin")
    assert (facts.arch, facts.kernel) == (platform.machine(), platform.release())
    assert facts.python.startswith("3.")
    assert [(item.host, item.scheme) for item in facts.registries] == [(registry, "http"), ("127.0.0.1:1", "")]
    scratch = next(place for place in facts.places if place.variable == "SCRATCH")
    assert (scratch.path, scratch.is_writable) == (str(home / "tools"), True)
    assert {item.kind for item in seen.libraries if item.elf} >= {"host"}
    site = Site("here", Login("localhost", transport="local"), Store("/"))
    assert f"PATH=$PATH:{home}/tools/bin" in render_draft(seen, site, name="here", day="2026-01-31")


def test_a_prelude_is_tried_first(home: Path) -> None:
    """What the site's config says is what is probed."""
    facts = probed(prelude=f"PATH=$PATH:{home}/tools/bin").facts
    assert (facts.runtime.found_by, facts.runtime.path) == ("prelude", f"{home}/tools/bin/apptainer")
