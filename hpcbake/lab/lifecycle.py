"""Up, down and reset: the order in which the lab's parts come and go."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from hpcbake.datafiles import data_folder
from hpcbake.errors import PrereqError, StateError
from hpcbake.lab import images, private_engine
from hpcbake.lab.bases import (
    NEW_SUITE,
    OLD_RELEASES,
    OldBase,
    choose_old_base,
    ensure_bases,
    read_old_base,
    write_old_base,
)
from hpcbake.lab.compose import CHECKED_NODES, Compose, compose_variables
from hpcbake.lab.engine import (
    Engine,
    find_plugin_folders,
    inspect_own_docker,
    no_engine_error,
    own_engine_unfit_error,
    write_client_config,
)
from hpcbake.lab.environment import LabRecord, read_lab_record, write_lab_record
from hpcbake.lab.keys import ensure_keys
from hpcbake.lab.lock import lab_lock
from hpcbake.lab.machine import LocalMachine, Machine, require
from hpcbake.lab.mirror import Mirror, read_mirror
from hpcbake.lab.packages import CLIENT_NEEDS, ENGINE_NEEDS, ensure_packages
from hpcbake.lab.preflight import (
    NEED_COLD_BYTES,
    NEED_WARM_BYTES,
    check_folders,
    check_kernel,
    check_ports,
    check_space,
)
from hpcbake.lab.progress import Progress
from hpcbake.lab.recipe import recipe_of
from hpcbake.lab.settings import LabSettings
from hpcbake.lab.shell import shell_argv
from hpcbake.lab.status import LabStatus, read_status
from hpcbake.lab.unpack import unpack_engine

_OLD_IMAGES_DAYS = 45
#: everything that a lab puts into its folders; nothing else is ever removed from them
_STATE_FILES = (
    "lab.json", "lab.env", "ssh_config", "known_hosts", "id_lab", "id_lab.pub", "ca.crt", "registry-password",
    "nodes", "engine", "docker-config", "*.log", ".*.partial",
)  # fmt: skip
_CACHE_FILES = ("engine-*", ".unpacking-*", "docker", "debian-*.tar", "mmdebstrap.*", "old-base.json", "lock")


@dataclass(frozen=True)
class LabRun:
    """One command on one lab: the settings, the machine it runs on, and where it reports."""

    settings: LabSettings
    progress: Progress
    machine: Machine
    environ: Mapping[str, str]

    @property
    def old_base_note(self) -> Path:
        return self.settings.cache / "old-base.json"


def new_run(
    settings: LabSettings,
    progress: Progress,
    *,
    machine: Machine | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LabRun:
    """A run on this machine. A lab that is up keeps the name and ports it was brought up with."""
    record = _find_record(settings)
    if record is not None:
        settings = replace(settings, name=record.name, ports=record.ports, cache=record.cache)
    return LabRun(settings, progress, machine or LocalMachine(), environ)


def _find_record(settings: LabSettings) -> LabRecord | None:
    """The lab's record if it can be read: a damaged one must not stand in the way of `down`."""
    try:
        return read_lab_record(settings.state)
    except StateError:
        return None


# ---- up ------------------------------------------------------------------------------------------------------------


def up(run: LabRun) -> LabRecord:
    """Bring the lab up, or find that it is. Raises an HpcbakeError saying what is in the way."""
    try:
        check_folders(run.settings)
    except PrereqError:
        record = _find_record(run.settings)
        if record is None or not status(run).is_up:
            raise
        run.progress.say("the lab is up; somebody else brought it up")
        return record
    if sys.platform == "linux":
        check_kernel()
    with lab_lock(run.settings.cache / "lock", run.progress):
        mirror = read_mirror(run.machine, run.environ, wanted=run.settings.mirror)
        engine = _ensure_engine(run, mirror)
        return _bring_up(run, engine, mirror)


def _bring_up(run: LabRun, engine: Engine, mirror: Mirror) -> LabRecord:
    settings = run.settings
    old = read_old_base(run.old_base_note) or choose_old_base(mirror)
    keys = ensure_keys(settings.state, settings.ports)
    recipe = recipe_of(data_folder("lab"), NEW_SUITE, old.release.suite)
    compose = Compose(run.machine, engine, compose_variables(settings, mirror, old, recipe=recipe, keys=keys))
    is_new = _ensure_images(run, compose, mirror, old)
    if not any(container.state == "running" for container in compose.containers().values()):
        _check_ports_free(run, engine)
    if engine.kind == "private":
        private_engine.ensure_ports(settings)
    if not is_new:  # new images make new containers anyway
        _mend_containers(run, compose)
    _start_containers(run, compose)
    if is_new:
        images.remove_images(compose, keep_recipe=recipe)
    references = images.base_references(f"localhost:{settings.ports.registry}", old.release)
    bases = images.push_bases(compose, settings.ports.registry, references)
    record = LabRecord(settings.name, settings.cache, settings.ports, engine, compose.variables, bases)
    write_lab_record(settings.state, record)
    _hand_over(settings)
    run.progress.say("the lab is up")
    return record


def _check_ports_free(run: LabRun, engine: Engine) -> None:
    """Raise PrereqError when a port is taken, unless by the lab's own bridge of an earlier, interrupted start."""
    if engine.kind != "private" or not private_engine.has_ports(run.settings):
        check_ports(run.settings.ports)


def _ensure_engine(run: LabRun, mirror: Mirror) -> Engine:
    """The engine of this lab, running. Says which and why."""
    settings, machine = run.settings, run.machine
    if private_engine.is_alive(settings):
        return _ensure_private_engine(run, mirror, "it was started by an earlier lab up")
    if settings.engine == "private":
        return _ensure_private_engine(run, mirror, "HPCBAKE_LAB_ENGINE asks for it")
    own = inspect_own_docker(machine, settings.state / "docker-config", run.environ)
    if own.engine is not None:
        check_space(settings.cache, NEED_WARM_BYTES)
        write_client_config(own.engine, find_plugin_folders(run.environ))
        run.progress.say(f"engine: your own Docker {own.engine.version} ({own.why})")
        ensure_packages(machine, run.progress, settings, CLIENT_NEEDS)
        return own.engine
    if settings.engine == "own":
        raise own_engine_unfit_error(own)
    if not settings.is_root or sys.platform != "linux":
        raise no_engine_error(own)
    return _ensure_private_engine(run, mirror, own.why)


def _ensure_private_engine(run: LabRun, mirror: Mirror, why: str) -> Engine:
    settings, machine, progress = run.settings, run.machine, run.progress
    if not settings.is_root:
        raise PrereqError("the private engine needs root", remedy="run this with sudo")
    engine = private_engine.client_engine(settings, reason=why)
    if not (private_engine.is_alive(settings) and private_engine.is_answering(machine, engine)):
        is_cold = not (settings.cache / "docker").exists()
        check_space(settings.cache, NEED_COLD_BYTES if is_cold else NEED_WARM_BYTES)
        ensure_packages(machine, progress, settings, ENGINE_NEEDS)
        folders = private_engine.engine_folders(settings)
        if not folders.docker.exists():
            with progress.step(f"fetching a private Docker engine from Debian {settings.engine_suite}"):
                unpack_engine(machine, settings, mirror, folders.root)
        write_client_config(engine, [folders.root / "usr/libexec/docker/cli-plugins"])
        private_engine.start(machine, settings)
    engine = replace(engine, version=private_engine.read_version(machine, engine))
    progress.say(f"engine: private Docker {engine.version} ({why})")
    return engine


def _ensure_images(run: LabRun, compose: Compose, mirror: Mirror, old: OldBase) -> bool:
    """Have all images of this recipe. True when they had to be built."""
    age = images.find_age_days(compose)
    if age is not None:
        if age > _OLD_IMAGES_DAYS:
            run.progress.say(f"the lab's images are {age:.0f} days old; `down --purge` and `up` make them anew")
        return False
    if old.note:
        run.progress.say(old.note)
    ensure_bases(run.machine, compose.engine, run.settings, mirror, old, run.progress)
    with run.progress.step("building the images of the lab's machines"):
        images.build(compose, run.settings.state / "build.log")
    write_old_base(run.old_base_note, old)
    return True


def _mend_containers(run: LabRun, compose: Compose) -> None:
    """Wake what is paused, restart machines on which a daemon has died: `docker compose up` does neither."""
    paused = [container.name for container in compose.containers().values() if container.state == "paused"]
    if paused:
        run.progress.say(f"unpausing {' '.join(paused)}")
        compose.docker(["unpause", *paused])
    containers = compose.containers()
    machines = [
        containers[name] for name in CHECKED_NODES if name in containers and containers[name].state == "running"
    ]
    with ThreadPoolExecutor(max_workers=len(CHECKED_NODES)) as pool:
        is_well = list(pool.map(lambda machine: compose.docker(["exec", machine.name, "lab-health"]).ok, machines))
    sick = {machine.name for machine, well in zip(machines, is_well, strict=True) if not well}
    # Docker holds on to its opinion until its next look, and would not call the lab up meanwhile.
    sick |= {container.name for container in containers.values() if container.health == "unhealthy"}
    if sick:
        run.progress.say(f"restarting {' '.join(sorted(sick))}, where something has died or never came up")
        compose.docker(["restart", "--time", "2", *sorted(sick)])


def _start_containers(run: LabRun, compose: Compose) -> None:
    log = run.settings.state / "up.log"
    with run.progress.step("starting the lab's machines"):
        words = ["up", "--detach", "--no-build", "--wait", "--wait-timeout", "180", "--remove-orphans"]
        outcome = compose.run(words, timeout_s=300, log=log)
    if not outcome.ok:
        bad = [name for name, container in compose.containers().items() if not container.is_healthy]
        said = compose.run(["logs", "--tail", "6", "--no-color", *bad], timeout_s=30).stdout
        raise PrereqError(
            f"the lab does not come up: {', '.join(bad) or 'docker compose failed'}",
            remedy=f"see {log}; `hpcbake lab down` and `hpcbake lab up` begin afresh",
            evidence={"output": f"{outcome.tail(8)}\n{said}".strip()},
            kind="config.prerequisite.lab",
        )


def _hand_over(settings: LabSettings) -> None:
    """Give the state to the person behind sudo: ssh insists on keys that belong to who uses them."""
    if not settings.is_root or settings.owner.uid == 0:
        return
    engine = settings.state / "engine"
    for path in (settings.state, *settings.state.rglob("*")):
        if path != engine and engine not in path.parents:
            os.chown(path, settings.owner.uid, settings.owner.gid, follow_symlinks=False)


# ---- down and reset ------------------------------------------------------------------------------------------------


def down(run: LabRun, *, purge: bool = False) -> None:
    """Take the lab down; with `purge`, drop everything that would make the next start quick."""
    settings, machine, progress = run.settings, run.machine, run.progress
    if not (settings.state.exists() or settings.cache.exists()):
        progress.say("there is no lab")
        return
    check_folders(settings)
    with lab_lock(settings.cache / "lock", progress):
        record = _find_record(settings)
        engine = record.engine if record else private_engine.client_engine(settings)
        compose = Compose(machine, engine, record.variables if record else _any_variables(settings))
        if record is not None and engine.kind == "private":
            _wake_dead_engine(run)
        _remove_containers(run, compose)
        if engine.kind == "private":
            if private_engine.is_alive(settings):
                progress.say("stopping the private engine")
            private_engine.stop(machine, settings)
        elif purge:
            images.remove_images(compose)
        _remove(settings.state, _STATE_FILES)
        if purge:
            _remove(settings.cache, _CACHE_FILES)
    progress.say("the lab is down" + (", its caches are gone" if purge else ""))


def reset(run: LabRun) -> LabRecord:
    """Empty stores, registries, queues and job histories: the machines are made anew from their images."""
    record = _require_record(run)
    check_folders(run.settings)
    with lab_lock(run.settings.cache / "lock", run.progress):
        mirror = read_mirror(run.machine, run.environ, wanted=run.settings.mirror)
        engine = _ensure_engine(run, mirror)
        _remove_containers(run, Compose(run.machine, engine, record.variables))
        return _bring_up(run, engine, mirror)


# ---- looking -------------------------------------------------------------------------------------------------------


def status(run: LabRun) -> LabStatus:
    """What is up right now. Takes no lock and changes nothing."""
    return read_status(run.machine, run.settings.state, read_lab_record(run.settings.state))


def shell_command(run: LabRun, node: str, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command for a shell on `node`, and the variables it needs."""
    return shell_argv(run.machine, run.settings.state, _require_record(run), node, words)


def _require_record(run: LabRun) -> LabRecord:
    record = read_lab_record(run.settings.state)
    if record is None:
        raise PrereqError(
            f"no lab is up at {run.settings.state}", remedy="run `hpcbake lab up`", kind="config.prerequisite.lab"
        )
    return record


def _wake_dead_engine(run: LabRun) -> None:
    """An engine that was killed still has the lab's containers and volumes on disk: start it to remove them."""
    if not private_engine.is_alive(run.settings) and run.settings.is_root:
        run.progress.say("the private engine has died; starting it once more to clear up after it")
        private_engine.start(run.machine, run.settings)


def _remove_containers(run: LabRun, compose: Compose) -> None:
    asked = compose.docker(["version", "--format", "{{.Server.Version}}"], timeout_s=15)
    if not asked.ok:
        return
    with run.progress.step("removing the lab's machines, networks and volumes"):
        outcome = compose.run(["down", "--volumes", "--remove-orphans", "--timeout", "2"], timeout_s=180)
    require(outcome, "removing the lab's containers", remedy="run it again; `docker ps -a` shows what is left")


def _any_variables(settings: LabSettings) -> dict[str, str]:
    """Variables that let compose parse its file when a lab's record is lost."""
    return compose_variables(settings, Mirror(""), OldBase(OLD_RELEASES[0], ""), recipe="unknown", keys="unknown")


def _remove(folder: Path, patterns: tuple[str, ...]) -> None:
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
