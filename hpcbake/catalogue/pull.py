"""HB-PULL: how a SIF comes to a site, and what stops it on the way."""

from __future__ import annotations

from hpcbake.catalogue.entry import Entry
from hpcbake.errors import ExitCode

_INTEGRITY = (ExitCode.INTEGRITY,)
_RESOURCE = (ExitCode.SITE_RESOURCE,)
_ANEW = "Run the same command again: the SIF is fetched anew. If it stays, suspect the disk of "

PULL: tuple[Entry, ...] = (
    Entry(
        "HB-PULL-001", "site.pull", _RESOURCE,
        "The runtime ended with an error that hpcbake has no name for.",
        "alder: the pull of registry.example.org/app@sha256:5ed5… ended with 255",
        "The runtime's own words are shown; try the pull by hand on the login node. `hpcbake explain -` reads a "
        "whole log and says what it knows of it.",
    ),
    Entry(
        "HB-PULL-002", "registry.plain-http", (ExitCode.REGISTRY,),
        "The registry speaks plain HTTP, and the runtime was not told to.",
        "birch: cannot pull localhost:5083/tutorial/pi@sha256:29b5…: the registry speaks plain HTTP",
        "List its host under `runtime.plain_http` of the site config, or give the registry a certificate.",
    ),
    Entry(
        "HB-PULL-003", "registry.unreachable", (ExitCode.REGISTRY_TEMP,),
        "The machine that pulls does not reach the registry. That this machine reaches it says nothing: login nodes "
        "have firewalls and proxies of their own.",
        "alder: cannot pull registry.example.org/app@sha256:5ed5…: the login node cannot reach the registry",
        "On the login node: `curl -I https://REGISTRY/v2/`. Set the proxy in `runtime.prelude`, or send the SIF "
        "over SSH: `--way stream`.",
    ),
    Entry(
        "HB-PULL-004", "registry.timeout", (ExitCode.REGISTRY_TEMP,),
        "The pull was ended at its deadline.",
        "birch: the pull of localhost:5083/tutorial/pi@sha256:29b5… did not end within its deadline",
        "Raise `runtime.pull_timeout` of the site. A conversion on a busy login node is slow: `--way oras` and "
        "`--way stream` convert on this machine.",
    ),
    Entry(
        "HB-PULL-005", "site.noexec", _RESOURCE,
        "The runtime unpacks on a file system from which nothing may be run.",
        "alder: cannot pull registry.example.org/app@sha256:5ed5…: the file system it unpacks on is mounted noexec",
        "Set `runtime.tmpdir` of the site config to a folder elsewhere.",
    ),
    Entry(
        "HB-PULL-006", "site.runtime", _RESOURCE,
        "Apptainer or Singularity is not there, or cannot work: no user namespaces, no fuse, no mksquashfs.",
        "alder: deliver micro: no apptainr on PATH after the prelude, which printed: nothing",
        "Correct `runtime.program` and `runtime.prelude` of the site (`module load apptainer`?); ask the site about "
        "user namespaces. `hpcbake sites check SITE` shows what there is.",
    ),
    Entry(
        "HB-PULL-007", "site.memory", _RESOURCE,
        "The conversion was killed: the login node, or your share of it, has too little memory.",
        "alder: cannot pull registry.example.org/app@sha256:5ed5…: the conversion was killed: too little memory",
        "Convert elsewhere: `--way oras` and `--way stream` on this machine, `--way job` on a compute node.",
    ),
    Entry(
        "HB-PULL-008", "image.integrity", _INTEGRITY,
        "A SIF, or what the registry served for it, is not what was verified before.",
        "alder: the SIF that job 7 on a1 saw is not the one that was verified",
        _ANEW + "the store.",
    ),
    Entry(
        "HB-PULL-009", "image.content", _INTEGRITY,
        "A converted SIF does not hold the files that the image holds.",
        "the SIF that apptainer made of registry.example.org/app@sha256:5ed5… does not hold what the image holds",
        _ANEW + "the machine that converted.",
    ),
    Entry(
        "HB-PULL-010", "image.signature", _INTEGRITY,
        "The site takes signed SIFs only, and this one has no signature that it knows.",
        "alder: deliver app: app.sif: no valid signature of 6BE9…",
        "SIFs are signed where the build host converts: `convert.sign` in hpcbake.yaml, and `--way oras` or "
        "`--way stream`.",
    ),
    Entry(
        "HB-PULL-011", "image.transfer", _INTEGRITY,
        "A SIF that was sent over SSH arrived with other bytes.",
        "alder: deliver app: the SIF arrived as sha256:00fe…, sha256:77ab… was sent",
        "Run the same command again: the SIF is sent anew.",
    ),
    Entry(
        "HB-PULL-012", "image.architecture", _INTEGRITY,
        "The SIF is for other processors than the site has.",
        "alder: deliver app: the SIF is for arm64, this site is amd64",
        'Build for the site: platforms = ["linux/amd64"].',
    ),
)  # fmt: skip
