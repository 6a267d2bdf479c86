"""The lab's images: are they there, build them, push the base images to the lab's registry."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from hpcbake.datafiles import data_folder
from hpcbake.errors import BuildError, RegistryError
from hpcbake.lab.bases import Release
from hpcbake.lab.compose import BASE_IMAGES, NODE_IMAGES, Compose
from hpcbake.lab.machine import require
from hpcbake.lab.settings import PREFIX

#: the services of compose.yaml that say how NODE_IMAGES are built
_MACHINE_SERVICES = ("registry", "alder", "birch")
_MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


def find_age_days(compose: Compose) -> float | None:
    """How old the lab's images are; None when one of them is missing."""
    names = [compose.image(name) for name in (*NODE_IMAGES, *BASE_IMAGES)]
    outcome = compose.docker(["image", "inspect", "--format", "{{json .Created}}", compose.image("alder")])
    if not outcome.ok or not compose.docker(["image", "inspect", "--format", "{{.Id}}", *names]).ok:
        return None
    return age_days(outcome.stdout, now=datetime.now(timezone.utc))


def age_days(created: str, *, now: datetime) -> float:
    """Days from Docker's JSON time `created` to `now`; 0 when it cannot be read."""
    try:
        day = datetime.strptime(json.loads(created)[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except (ValueError, TypeError):
        return 0.0
    return (now - day).total_seconds() / 86400


def build(compose: Compose, log: Path) -> None:
    """Build everything that compose.yaml describes. Raises BuildError with the lines that matter."""
    built = compose.bake(bake_words(data_folder("lab")), timeout_s=1800, log=log)
    require(
        built,
        "building the lab's images",
        remedy=explain_build_failure(built.stderr) + f" (log: {log})",
        error=BuildError,
    )


def bake_words(folder: Path) -> list[str]:
    """The targets of `docker buildx bake` and their settings, for the compose file in `folder`.

    Machines are packed with zstd, which takes a third of gzip's time; base images as every registry has them.
    """
    words = ["--set", f"*.context={folder / 'image'}"]
    for service in _MACHINE_SERVICES:
        words += ["--set", f"{service}.output=type=docker,compression=zstd,oci-mediatypes=true"]
    return [*words, *_MACHINE_SERVICES, *BASE_IMAGES]


def explain_build_failure(log: str) -> str:
    """What to do about a failed build, from what its log says."""
    if "has no apptainer package" in log or "Unable to locate package apptainer" in log:
        return (
            "Debian unstable does not offer apptainer for this processor today; wait for it to come back, or set "
            f"{PREFIX}MIRROR to an archive (a snapshot, for example) that has it"
        )
    if "no space left on device" in log.lower():
        return f"free some space, or set {PREFIX}CACHE to a folder on a larger disk"
    if "Temporary failure resolving" in log or "Could not connect" in log or "Connection failed" in log:
        return f"containers cannot reach the Debian archive: check the network, {PREFIX}MIRROR and {PREFIX}DNS"
    return "run it again; if it fails at the same place, the lines above say where"


def remove_images(compose: Compose, *, keep_recipe: str | None = None) -> None:
    """Forget the lab's images, or those of other recipes; Docker keeps what another lab's containers use."""
    names = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=org.hpcbake.lab"]
    listed = [name for name in compose.docker(names).stdout.split() if "<none>" not in name]
    if keep_recipe is not None:
        listed = [name for name in listed if name.startswith("hpcbake-lab/") and not name.endswith(f":{keep_recipe}")]
    if listed:
        compose.docker(["image", "rm", *listed])
    compose.docker(["image", "prune", "--force", "--filter", "label=org.hpcbake.lab"])


def base_references(registry: str, release: Release) -> dict[str, str]:
    """Variable → tagged name in the lab's registry. The names say what the images are."""
    standin = f"{registry}/lab/debian{release.number}-standin"
    return {
        "BASE": f"{standin}:{release.glibc}",
        "BASE_MINIMAL": f"{standin}-minimal:{release.glibc}",
        "NEWER_BASE": f"{registry}/lab/debian:trixie",
    }


def push_bases(compose: Compose, port: int, references: Mapping[str, str]) -> dict[str, str]:
    """Have the base images in the plain registry; return variable → reference pinned by the registry's digest."""
    pinned = {}
    for (variable, reference), name in zip(references.items(), BASE_IMAGES, strict=True):
        identity = compose.docker(["image", "inspect", "--format", "{{.Id}}", compose.image(name)]).stdout.strip()
        repository, _, tag = reference.partition("/")[2].rpartition(":")
        digest = fetch_digest(port, repository, tag)
        if digest != identity:
            remedy = "see `docker logs` of the lab's registry; `hpcbake lab reset` starts it afresh"
            for words in (["tag", compose.image(name), reference], ["push", "--quiet", reference]):
                require(
                    compose.docker(words, timeout_s=300), f"pushing {reference}", remedy=remedy, error=RegistryError
                )
            digest = fetch_digest(port, repository, tag)
        if digest is None:
            raise RegistryError(
                f"the lab's registry took {reference} but does not serve it", remedy="run `hpcbake lab reset`"
            )
        pinned[variable] = f"{reference}@{digest}"
    return pinned


def fetch_digest(port: int, repository: str, tag: str, *, attempts: int = 20) -> str | None:
    """The digest that the registry on this machine's `port` serves for a tag; None when it has none."""
    for _ in range(attempts):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFEST_TYPES})
            answer = connection.getresponse()
            return answer.headers.get("Docker-Content-Digest") if answer.status == 200 else None
        except OSError:
            time.sleep(0.25)  # the port may open a moment after the container is healthy
        finally:
            connection.close()
    return None
