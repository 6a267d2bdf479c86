"""Bad days of a store, on the lab: kill -9 at every rename, answers that are lost, a full disk, an edited ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpcbake.adapters.apptainer import SpythonCommands
from hpcbake.adapters.ssh_openssh import OpenSshNode
from hpcbake.deliver.ledger import rollback_path
from hpcbake.deliver.promote import PromoteRequest, promote
from hpcbake.deliver.rollback import RollbackRequest, plan_rollback, rollback
from hpcbake.deliver.status import look_at_store
from hpcbake.errors import HpcbakeError, SiteUnreachableError
from hpcbake.model.artefacts import BuiltImage, Deployment, SmokeResult, SmokeStatus
from hpcbake.model.ports import Node, Outcome
from hpcbake.model.reference import Digest, parse_image_reference
from hpcbake.model.site import Site
from hpcbake.sites.read import read_site
from tests.integration.chain import Chain, make_chain, only_target, write_project, write_site
from tests.integration.conftest import RunningLab

pytestmark = pytest.mark.lab


@pytest.fixture
def chain(lab: RunningLab, tmp_path: Path) -> Iterator[Chain]:
    made = make_chain(lab, tmp_path)
    write_project(made, project="expose:\n  - commands: [sh]\n")
    yield made
    made.wipe()


def release(chain: Chain, content: str, site: str = "alder") -> str:
    chain.environment["CONTENT"] = content
    report = chain.ship("--site", site)
    assert report["exit"]["code"] == 0, report["errors"]
    return str(only_target(report)["digest"])


def site_of(chain: Chain, name: str = "alder") -> Site:
    return read_site(chain.folder / "site-configs" / f"{name}.yaml", environment=chain.environ())


# ---- kill -9 at every rename ----------------------------------------------------------------------------------------

#: Programs by which a switch changes names: before the nth of them the script is killed. (After the nth is before the
#: next, as far as names go.)
_DEADLY = """
rm -f MARK MARK.calls
deadly() {
  echo x >>MARK.calls  # a file: some of the calls are made by shells of their own
  if [ "$(wc -l <MARK.calls)" -eq KILL_AT ]; then : >MARK; kill -9 "$self"; sleep 5; fi
  command "$@"
}
mv() { deadly mv "$@"; }
ln() { deadly ln "$@"; }
"""


class WrappedNode:
    """The real node, with something in between."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name

    def send_file(
        self,
        source: Path,
        script: str,
        *,
        timeout_s: float,
        stall_s: float = 60.0,
        on_sent: Callable[[int], None] | None = None,
    ) -> Outcome:
        return self.node.send_file(source, script, timeout_s=timeout_s, stall_s=stall_s, on_sent=on_sent)

    def close(self) -> None:
        self.node.close()


class DyingNode(WrappedNode):
    """Its first script is killed at its nth rename, if it comes to that: then `has_killed`."""

    def __init__(self, node: Node, kill_at: int, mark: str) -> None:
        super().__init__(node)
        self.kill_at, self.mark = kill_at, mark
        self.has_killed = False

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        if self.has_killed:
            return self.node.run_script(script, timeout_s=timeout_s, secret_stdin=secret_stdin)
        deadly = _DEADLY.replace("KILL_AT", str(self.kill_at)).replace("MARK", self.mark) + script
        try:
            return self.node.run_script(deadly, timeout_s=timeout_s, secret_stdin=secret_stdin)
        finally:
            killed = self.node.run_script(f"rm -f {self.mark}.calls; ls {self.mark} && rm {self.mark}", timeout_s=60)
            self.has_killed = killed.ok


def go_to(chain: Chain, site: Site, wanted: str, node: Node) -> None:
    """Give users this release: by rollback's script if it was current before, else by promote's."""
    look = look_at_store(site, node=OpenSshNode(site))
    stored = look.find(chain.image)
    assert stored is not None
    if wanted in rollback_path(look.ledger.entries, chain.image)[:-1]:
        asked = RollbackRequest(
            chain.image, "01FAULT", "test", "2026-01-01T00:00:00Z", wanted, hold=False, lock_wait_s=20
        )
        rollback(plan_rollback(asked, site, look), asked, site, node=node, commands=SpythonCommands())
        return
    papers = next(item for item in stored.releases if item.digest == wanted).provenance
    digest = Digest(wanted)
    image = BuiltImage(chain.image, "1.0", parse_image_reference(papers["reference"]), digest, 0)
    path = f"{site.store.root}/sif/{chain.image}/{digest.hex}.sif"
    deployment = Deployment(site.name, image, path, papers["sif_sha256"], papers["size_bytes"], changed=False)
    smoke = [
        SmokeResult(site.name, chain.image, item["test"], item["key"], SmokeStatus.PASSED, item["job_id"], item["node"])
        for item in papers["smoke"]
    ]
    was = chain.readlink(site.name)
    request = PromoteRequest(deployment, smoke, was, "01FAULT", "2026-01-01T00:00:00Z", "0", lock_wait_s=20)
    promote(request, site, node=node, commands=SpythonCommands())


def test_killed_at_every_rename_users_have_the_old_or_the_new(chain: Chain) -> None:
    """Promote and rollback, at each mv and ln: `current`, tag and modulefile always name a whole SIF.

    The oracle is readlink and sha256sum; the next attempt needs no help, and at the end ledger and links agree.
    """
    digests = (release(chain, "first"), release(chain, "second"))
    site = site_of(chain)
    folder = f"{chain.root}/sif/{chain.image}"
    known = {chain.lab.ssh("alder", f"sha256sum {folder}/{Digest(d).hex}.sif").stdout.split()[0] for d in digests}
    deaths = 0
    for kill_at in range(1, 40):
        go_to(chain, site, digests[1], OpenSshNode(site))
        node = DyingNode(OpenSshNode(site), kill_at, f"/tmp/{chain.image}.killed")
        try:
            go_to(chain, site, digests[0], node)
        except HpcbakeError as error:
            assert node.has_killed, error.message
        shown = chain.lab.ssh(
            "alder",
            f"cd {chain.root}/{chain.image} && readlink current 1.0; sha256sum current 1.0 | cut -c1-64;"
            f"grep -h ^setenv ../modules/{chain.image}/1.0 ../modules/{chain.image}/1.0.lua",
        ).stdout.splitlines()
        assert len(shown) == 6, (kill_at, shown)
        for link in shown[:2]:
            assert re.fullmatch(rf"\.\./sif/{chain.image}/[0-9a-f]{{64}}\.sif", link), (kill_at, link)
        assert set(shown[2:4]) <= known, (kill_at, shown)
        for line in shown[4:]:
            assert any(Digest(digest).hex in line for digest in digests), (kill_at, line)
        if not node.has_killed:
            break
        deaths += 1
    else:
        pytest.fail("it never came to its end")
    assert deaths >= 10
    go_to(chain, site, digests[1], OpenSshNode(site))
    status = chain.run("status", "--site", "alder", "--verify")
    assert status.returncode == 0, status.stdout
    left = [name for name in chain.files("alder") if "/leases/" in name or ".tmp" in name.rsplit("/", 1)[-1]]
    assert left == []


# ---- answers that are lost ------------------------------------------------------------------------------------------


class LosingNode(WrappedNode):
    """Its first answer is lost on the way, after (or before) the script has run."""

    def __init__(self, node: Node, *, runs: bool) -> None:
        super().__init__(node)
        self.runs, self.lost = runs, 0

    def run_script(self, script: str, *, timeout_s: float, secret_stdin: bytes = b"") -> Outcome:
        self.lost += 1
        if self.lost > 1:
            return self.node.run_script(script, timeout_s=timeout_s, secret_stdin=secret_stdin)
        if self.runs:
            self.node.run_script(script, timeout_s=timeout_s, secret_stdin=secret_stdin)
        raise SiteUnreachableError("the connection broke", remedy="again", kind="ssh.lost")


def test_a_lost_answer_is_read_back(chain: Chain) -> None:
    """What was done is told as done; what was not is not, and nothing is told that nobody looked at."""
    digests = (release(chain, "first"), release(chain, "second"))
    site = site_of(chain)
    go_to(chain, site, digests[0], LosingNode(OpenSshNode(site), runs=True))
    assert Digest(digests[0]).hex in chain.readlink("alder")
    with pytest.raises(SiteUnreachableError):
        go_to(chain, site, digests[1], LosingNode(OpenSshNode(site), runs=False))
    assert Digest(digests[0]).hex in chain.readlink("alder")


# ---- edited state ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["1s/promoting/promised/", "$s/promoted/promised/", "2d", "$d"])
def test_an_edited_ledger_stops_every_act(chain: Chain, edit: str) -> None:
    """Any line, the last one too, changed or gone: 70 with file, line and hashes, and not a byte is written."""
    release(chain, "first")
    release(chain, "second")
    book = f"{chain.root}/.hpcbake/ledger.jsonl"
    chain.lab.ssh("alder", f"sed -i '{edit}' {book}")
    before = chain.listing("alder")
    chain.environment["CONTENT"] = "third"
    for words in (
        ("ship", "--site", "alder"),
        ("rollback", chain.image, "--site", "alder"),
        ("gc", "--keep", "1", "--days", "0", "--site", "alder"),
        ("gc", "--keep", "1", "--dry-run", "--site", "alder"),
        ("status", "--site", "alder"),
        ("history", "--site", "alder"),
    ):
        done = chain.run(*words)
        assert done.returncode == 70, (words, done.stdout, done.stderr)
        told = " ".join((done.stdout + done.stderr).split())
        assert re.search(r"ledger\.jsonl:\d+: .*[0-9a-f]{64}", told), (words, told)
    assert chain.listing("alder") == before


def test_a_sif_exchanged_after_its_smoke_test_is_not_promoted(chain: Chain) -> None:
    """The bytes that were tested are the bytes that users get, or nothing moves."""
    release(chain, "first")
    old = chain.readlink("alder")
    chain.environment["CONTENT"] = "second"
    report = chain.ship("--site", "alder", "--until", "smoke")
    sif = f"{chain.root}/sif/{chain.image}/{only_target(report)['digest'].removeprefix('sha256:')}.sif"
    chain.lab.ssh(
        "alder", f"t=$(stat -c %Y {sif}); printf X | dd of={sif} bs=1 seek=50000 conv=notrunc; touch -d @$t {sif}"
    )
    assert chain.ship("--site", "alder")["exit"]["code"] == 43
    assert chain.readlink("alder") == old


def test_results_of_other_bytes_do_not_count(chain: Chain) -> None:
    """A smoke test vouches for one SIF: whoever hands in another one's word promotes nothing."""
    digests = (release(chain, "first"), release(chain, "second"))
    site = site_of(chain)
    look = look_at_store(site, node=OpenSshNode(site))
    stored = look.find(chain.image)
    assert stored is not None
    by_digest = {item.digest: item.provenance for item in stored.releases}
    papers, others = by_digest[digests[0]], by_digest[digests[1]]
    digest = Digest(digests[0])
    image = BuiltImage(chain.image, "1.0", parse_image_reference(papers["reference"]), digest, 0)
    path = f"{site.store.root}/sif/{chain.image}/{digest.hex}.sif"
    deployment = Deployment("alder", image, path, papers["sif_sha256"], papers["size_bytes"], changed=False)
    (entry,) = others["smoke"]
    foreign = SmokeResult("alder", chain.image, entry["test"], entry["key"], SmokeStatus.PASSED, entry["job_id"])
    request = PromoteRequest(deployment, [foreign], chain.readlink("alder"), "01X", "t", "0", lock_wait_s=5)
    with pytest.raises(HpcbakeError) as caught:
        promote(request, site, node=OpenSshNode(site), commands=SpythonCommands())
    assert (caught.value.kind, int(caught.value.exit_code)) == ("slurm.untested", 51)
    assert Digest(digests[1]).hex in chain.readlink("alder")


# ---- clearing up on a bad day ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["blocks", "inodes"])
def test_gc_on_a_full_disk(chain: Chain, what: str) -> None:
    """Not a byte left, or not a file: what may go goes, what must stay stays whole."""
    container = chain.lab.container("alder")
    mount = f"mount -t tmpfs -o size=24m,nr_inodes=600 tmpfs {chain.root} && chown alice: {chain.root}"
    made = chain.lab.docker("exec", "--privileged", container, "sh", "-c", f"mkdir {chain.root} && {mount}")
    assert made.returncode == 0, made.stderr
    try:
        write_site(chain, "alder", runtime={"tmpdir": "/tmp"})
        first, second = release(chain, "first"), release(chain, "second")
        filler = f"{chain.root}/filler"
        fill = {
            "blocks": f"head -c 100M /dev/zero >{filler}; for i in 1 2 3 4; do echo x >>{filler}.$i; done",
            "inodes": f"mkdir {filler}; cd {filler}; i=0; while : >$i; do i=$((i + 1)); done",
        }[what]
        chain.lab.ssh("alder", fill)
        probe = {"blocks": "head -c 8192 /dev/zero >more && echo wrote", "inodes": ": >more && echo wrote"}[what]
        assert "wrote" not in chain.lab.ssh("alder", f"cd {chain.root} && {probe}").stdout
        done = chain.run("gc", "--keep", "1", "--site", "alder")
        assert done.returncode == 0, (done.stdout, done.stderr)
        sifs = chain.lab.ssh("alder", f"cd {chain.root}/sif/{chain.image} && ls *.sif").stdout.split()
        assert sifs == [f"{Digest(second).hex}.sif"]
        assert Digest(second).hex in chain.readlink("alder")
        assert chain.run("status", "--site", "alder", "--verify").returncode == 0
        assert first != second
    finally:
        chain.lab.docker("exec", "--privileged", container, "umount", "-l", chain.root)


def test_gc_without_slurm_s_word_removes_nothing(chain: Chain) -> None:
    """squeue that fails: 51, and every byte stays."""
    release(chain, "first")
    release(chain, "second")
    write_site(chain, "alder", slurm={"prelude": "export SLURM_CONF=/nonexistent/slurm.conf"})
    before = chain.listing("alder")
    done = chain.run("gc", "--keep", "1", "--days", "0", "--site", "alder")
    assert done.returncode == 51, (done.stdout, done.stderr)
    assert "squeue does not answer" in done.stdout
    assert chain.listing("alder") == before


def test_gc_goes_on_where_a_site_is_unreachable(chain: Chain) -> None:
    """The others are cleared; exit 3, and the site that was not is named."""
    release(chain, "first")
    second = release(chain, "second")
    write_site(chain, "birch", login={"host": "alder", "port": "1", "connect_timeout": "2s"})
    done = chain.run("gc", "--keep", "1", "--json")
    assert done.returncode == 3, (done.stdout, done.stderr)
    document = {site["name"]: site for site in json.loads(done.stdout)["sites"]}
    assert document["birch"]["error"]["code"] == 40
    assert len(document["alder"]["removed"]) == 1
    sifs = chain.lab.ssh("alder", f"cd {chain.root}/sif/{chain.image} && ls *.sif").stdout.split()
    assert sifs == [f"{Digest(second).hex}.sif"]
