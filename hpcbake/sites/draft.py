"""A site config drafted from what a probe saw: for a person to read, correct and keep.

Every value that is not certain says so in a comment beside it, and what was not seen is said instead of guessed.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence

from hpcbake.model.site import Injection, Login, Site
from hpcbake.sites.effective import render_value
from hpcbake.sites.facts import Partition, Place, SiteFacts
from hpcbake.sites.hostlibraries import injections, offers
from hpcbake.sites.probe import Probed
from hpcbake.sites.schema import SECTIONS

_ROOT = str(SECTIONS["store"]["root"].schema["pattern"])
_ENOUGH_KB = 20 * 1024 * 1024
#: What belongs to one machine, or is gone after a reboot.
_PASSING = frozenset({"tmpfs", "ramfs", "devtmpfs", "overlay"})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_SHARED = re.compile(r"nfs|lustre|gpfs|beegfs|ceph|fhgfs|panfs|wekafs|afs|cifs|orangefs|smb|9p|virtiofs", re.IGNORECASE)


def render_draft(probed: Probed, site: Site, *, name: str, day: str) -> str:
    """The YAML text of a site config named `name`, reached as `site` was; `day` is when the probe looked."""
    facts = probed.facts
    lines = [
        "# yaml-language-server: $schema=site.schema.json",
        f"# Drafted by `hpcbake sites probe` on {day}, as {_plain(facts.user)} on {_plain(facts.host)}.",
        "# Read every line: only the login node was seen. Then try it: hpcbake sites check " + name,
        f"name: {name}",
        f"description: {render_value(_description(facts))}",
        "",
        *_login(site.login),
        "",
        *_store(facts),
        "",
        *_runtime(facts, site.runtime.prelude),
        *_slurm(facts),
        *_profile(probed),
        *_remarks(facts),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def site_name(host: str) -> str:
    """A name for the site at this host: its alias, or the part of its address that tells it from others."""
    labels = [re.sub(r"[^a-z0-9-]", "-", label).strip("-") for label in host.lower().split(".")]
    generic = re.compile(r"(login|ssh|hpc|head|frontend|gateway|access|front|submit)?-?[0-9]*")
    chosen = next((label for label in labels if label and not generic.fullmatch(label)), labels[0])
    return (chosen or "cluster")[:63].strip("-") or "cluster"


def _plain(text: str) -> str:
    """Text from the site, fit for one line of a comment."""
    return _UNPRINTABLE.sub("?", text)[:200]


def _description(facts: SiteFacts) -> str:
    slurm = f"Slurm {facts.slurm.version}" if facts.slurm.version else "no Slurm seen"
    accounting = " with accounting" if facts.slurm.has_accounting else ""
    glibc = f" (glibc {facts.glibc})" if facts.glibc else ""
    return _plain(f"{facts.os or facts.kernel}{glibc}, {slurm}{accounting}")


def _login(login: Login) -> Iterator[str]:
    yield "login:"
    yield f"  host: {render_value(login.host)}"
    if login.user:
        yield f"  user: {render_value(login.user)}"
    if login.port:
        yield f"  port: {login.port}"
    if login.transport != "fabric":
        yield f"  transport: {login.transport}"
    if login.ssh_config:
        yield f"  ssh_config: {render_value(login.ssh_config)}"


# ---- store ----------------------------------------------------------------------------------------------------------


def choose_place(facts: SiteFacts) -> Place | None:
    """Where a store would go: a folder of the user's on a lasting file system, with room; variables first."""
    lasting = [place for place in facts.places if place.is_writable and place.filesystem not in _PASSING]
    usable = [place for place in lasting if re.fullmatch(_ROOT, place.path) and place.path != "/tmp"]  # noqa: S108
    named = [place for place in usable if place.variable not in ("HOME", "TMPDIR")]
    roomy = [place for place in named if place.free_kb >= _ENOUGH_KB]
    ordered = [*roomy, *sorted(usable, key=lambda place: -place.free_kb)]
    return ordered[0] if ordered else None


def _store(facts: SiteFacts) -> Iterator[str]:
    place = choose_place(facts)
    yield "store:"
    if place is None:
        yield "  # No folder was found that you can write to and that lasts: name one that compute nodes see, too."
        yield "  root: /project/hpcbake"
    else:
        own = "" if place.variable or facts.user in place.path.split("/") else f"/{facts.user}"
        own = own if re.fullmatch(_ROOT, own or "/") else ""
        yield f"  root: {place.path.rstrip('/')}{own}/hpcbake"
        yield f"  # chosen: {_place_text(place)}"
        if not _SHARED.search(place.filesystem):
            yield f"  # {_plain(place.filesystem)} may be this machine's own: make sure that compute nodes see it, too."
    for other in facts.places:
        if other is not place:
            yield f"  # also seen: {_place_text(other)}"


def _place_text(place: Place) -> str:
    name = f" (${place.variable})" if place.variable else ""
    rights = "" if place.is_writable else ", not writable for you"
    noexec = ", noexec" if place.is_noexec else ""
    size = f"{place.free_kb / 1048576:.0f} GiB free"
    return _plain(f"{place.path}{name}, {place.filesystem}, {size}{noexec}{rights}")


# ---- runtime --------------------------------------------------------------------------------------------------------


def _runtime(facts: SiteFacts, given: str) -> Iterator[str]:
    runtime = facts.runtime
    prelude = [*given.rstrip("\n").split("\n")] if given.strip() else []
    prelude += _prelude(facts)
    plain = [item.host for item in facts.registries if item.scheme == "http"]
    if not runtime.path:
        yield "runtime:"
        yield "  # Neither apptainer nor singularity was found, on PATH or as a module: ask the site."
        yield "  program: apptainer"
        yield ""
        return
    if prelude or plain or runtime.name == "singularity" or runtime.path.endswith("/singularity"):
        yield "runtime:"
        if runtime.path.endswith("/singularity"):
            yield "  program: singularity"
        if prelude:
            yield "  prelude: |"
            yield from (f"    {_UNPRINTABLE.sub('?', line)}" for line in prelude)
        if plain:
            yield f"  plain_http: {render_value(plain)}"
    mode = "setuid" if runtime.is_setuid else "user namespaces" if facts.user_namespaces == "yes" else "none that works"
    yield f"# {_plain(runtime.path)}, version {runtime.version or 'not told'}; it mounts images by: {mode}"
    for setting in runtime.settings:
        if re.fullmatch(r"always use \w+ *= *yes", setting):
            yield f"# its configuration says: {_plain(setting)}"
    yield ""


def _prelude(facts: SiteFacts) -> Iterator[str]:
    """Shell lines that were tried and worked."""
    if facts.slurm.folder:
        yield f"PATH=$PATH:{shlex.quote(facts.slurm.folder)}"
    if facts.runtime.found_by.startswith("module "):
        yield f". {shlex.quote(facts.runtime.found_by.removeprefix('module '))}"
        yield f"module load {shlex.quote(facts.runtime.name)}"
    elif facts.runtime.found_by == "login shell":
        yield f"PATH=$PATH:{shlex.quote(facts.runtime.path.rpartition('/')[0])}"


# ---- Slurm ----------------------------------------------------------------------------------------------------------


def choose_partition(facts: SiteFacts) -> Partition | None:
    """The default partition, if it takes jobs, else the first one that does."""
    up = [partition for partition in facts.slurm.partitions if partition.is_up]
    return next((partition for partition in up if partition.is_default), up[0] if up else None)


def _slurm(facts: SiteFacts) -> Iterator[str]:
    slurm = facts.slurm
    yield "slurm:"
    partition = choose_partition(facts)
    if not slurm.version:
        yield "  # No sbatch was found. Smoke tests need one: ask the site, and set PATH in `runtime.prelude`."
    elif partition is None:
        yield f"  # No partition was told: {_plain(slurm.answer) or 'Slurm did not answer'}"
    else:
        yield f"  partition: {render_value(partition.name)}"
    if slurm.default_account or slurm.accounts:
        yield f"  account: {render_value(slurm.default_account or slurm.accounts[0])}"
        yield f"  # your accounts: {_plain(', '.join(slurm.accounts))}"
    elif slurm.version and not slurm.has_accounting:
        yield "  # no accounting here: an account would be ignored"
    elif slurm.version:
        yield "  # accounting is on, but no account of yours was told: ask sacctmgr or your site"
    yield "  time_limit: 00:05:00"
    for item in slurm.partitions:
        yield f"  # {_partition_text(item)}"
    yield ""


def _partition_text(partition: Partition) -> str:
    parts = [
        f"partition {partition.name}: {'up' if partition.is_up else 'NOT up'}",
        "default" if partition.is_default else "",
        f"up to {partition.max_time}",
        f"nodes {partition.nodes}",
        f"features {','.join(partition.features)}" if partition.features else "",
        f"gres {','.join(partition.gres)}" if partition.gres else "",
        f"accounts {partition.accounts}" if partition.accounts != "ALL" else "",
        f"x86-64-v{partition.cpu_level}" if partition.cpu_level else "CPU level not told",
    ]
    return _plain(", ".join(filter(None, parts)))


# ---- profile --------------------------------------------------------------------------------------------------------


def _profile(probed: Probed) -> Iterator[str]:
    facts = probed.facts
    host_offers = offers(probed.libraries)
    yield "profile:"
    if facts.arch in ("x86_64", "aarch64"):
        yield f"  arch: {facts.arch}"
    else:
        yield f"  # arch {_plain(facts.arch)} is not known to hpcbake"
    if facts.glibc:
        yield f'  glibc: "{facts.glibc}"'
    cxx = [name.removeprefix("GLIBCXX_") for name in host_offers if re.fullmatch(r"GLIBCXX_[0-9.]+", name)]
    yield f'  glibcxx: "{cxx[-1]}"' if cxx else "  # glibcxx: the host's libstdc++ was not seen"
    kernel = re.match(r"[0-9]+(\.[0-9]+)+", facts.kernel)
    if kernel:
        yield f'  kernel: "{kernel[0]}"  # the login node: {_plain(facts.kernel)}'
    if facts.runtime.version:
        yield f'  apptainer: "{facts.runtime.version}"'
    yield from _cpu_level(facts)
    yield from _gpu(facts)
    found = injections(probed.libraries)
    gpu = _gpu_kind(facts)
    yield from _inject([found[kind] for kind in found if kind == gpu], [found[kind] for kind in found if kind != gpu])
    binds = [s.partition("=")[2].strip() for s in facts.runtime.settings if s.startswith("bind path")]
    shown = [bind for bind in binds if bind not in ("/etc/localtime", "/etc/hosts")]
    if shown:
        yield f"  # its configuration binds these into every container: {_plain(', '.join(shown))}"
    if host_offers:
        yield "  # The version names that the host's libc and libstdc++ define, as they were read."
        yield from _listed("offers", host_offers, "  ")


def _cpu_level(facts: SiteFacts) -> Iterator[str]:
    partition = choose_partition(facts)
    seen = f"x86-64-v{facts.cpu_level} ({_plain(facts.cpu_model)})" if facts.cpu_level else "not told"
    if partition is not None and partition.cpu_level:
        yield f"  cpu_level: {partition.cpu_level}  # of partition {_plain(partition.name)}, by its nodes' features"
    elif partition is not None and partition.nodes == facts.host and facts.cpu_level:
        note = f"{_plain(partition.name)} is this very machine: {_plain(facts.cpu_model)}"
        yield f"  cpu_level: {facts.cpu_level}  # {note}"
    else:
        yield f"  # cpu_level: compute nodes were not seen. The login node: {seen}"
    told = [item for item in facts.slurm.partitions if item.cpu_level]
    if len({item.cpu_level for item in told}) > 1:
        yield "  partitions:  # by the features of their nodes"
        yield from (f"    - {{name: {render_value(item.name)}, cpu_level: {item.cpu_level}}}" for item in told)


def _gpu_kind(facts: SiteFacts) -> str:
    """What is injected at this site: by GPUs that were seen, or because its configuration says always."""
    always = {s.replace(" ", "") for s in facts.runtime.settings}
    if facts.driver or "alwaysusenv=yes" in always or _has_gpu_partition(facts):
        return "nvidia"
    return "rocm" if facts.rocm or "alwaysuserocm=yes" in always else ""


def _has_gpu_partition(facts: SiteFacts) -> bool:
    return any(gres.startswith("gpu") for partition in facts.slurm.partitions for gres in partition.gres)


def _gpu(facts: SiteFacts) -> Iterator[str]:
    kind = _gpu_kind(facts)
    if not kind:
        yield "  # gpu: none seen on the login node, and no partition has any in its gres"
        return
    if not facts.driver and not facts.rocm:
        yield "  # GPUs by gres, but no driver on the login node: see `nvidia-smi` or `rocm-smi` on a compute node, and"
        yield "  # write `gpu: {mode: nv, driver: …, cuda: …}` or `gpu: {mode: rocm}`."
        return
    yield "  gpu:"
    yield f"    mode: {'nv' if kind == 'nvidia' else 'rocm'}"
    if facts.driver:
        yield f'    driver: "{facts.driver}"  # the login node; GPUs: {_plain(", ".join(facts.gpus) or "not listed")}'
    if facts.cuda:
        yield f'    cuda: "{facts.cuda}"'


def _inject(live: Sequence[Injection], others: Sequence[Injection]) -> Iterator[str]:
    """What every container gets is declared; what only those get that bind it is shown, for those who bind it."""
    if live:
        yield "  inject:"
        for item in live:
            yield from _injection(item, "    ")
    if others:
        yield "  # Host libraries that were read, too. Whoever binds them into containers moves them under `inject`:"
        for item in others:
            yield from (f"  # {line}" for line in _injection(item, ""))


def _injection(item: Injection, indent: str) -> Iterator[str]:
    yield f"{indent}- name: {item.name}"
    yield from _listed("needs", item.needs, f"{indent}  ")
    if item.execstack:
        yield f"{indent}  execstack: true"


def _listed(key: str, names: Sequence[str], indent: str) -> Iterator[str]:
    if not names:
        yield f"{indent}{key}: []"
        return
    yield f"{indent}{key}: ["
    yield from textwrap.wrap(", ".join(names), 110, initial_indent=f"{indent}  ", subsequent_indent=f"{indent}  ")
    yield f"{indent}]"


def _remarks(facts: SiteFacts) -> Iterator[str]:
    yield ""
    yield f"# modules: {_plain(facts.modules) or 'none seen'}"
    yield f"# python3 on the login node: {_plain(facts.python) or 'none'} (hpcbake needs none)"
    for item in facts.registries:
        reached = f"answers by {item.scheme} ({item.detail})" if item.scheme else f"NOT reached: {item.detail}"
        yield f"# registry {_plain(item.host)}: {_plain(reached)}"
    if not facts.registries:
        yield "# registries: not asked (hpcbake sites probe --registry HOST)"
