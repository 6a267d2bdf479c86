"""A Docker engine of the lab's own: unpacked from Debian packages, never installed, and gone when it is stopped.

It runs in its own mount, process and network namespaces under one process. Ending that process, even with kill -9,
ends every container, mount, bridge and packet filter rule inside. See docs/decisions/0003-lab.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hpcbake.datafiles import data_folder
from hpcbake.errors import PrereqError
from hpcbake.lab import uplink
from hpcbake.lab.engine import Engine
from hpcbake.lab.machine import Machine
from hpcbake.lab.processes import end_process, is_gone_within, is_process, remove_cgroups
from hpcbake.lab.settings import PREFIX, LabSettings


@dataclass(frozen=True)
class EngineFolders:
    """Where the engine keeps what: `root` the unpacked programs, `data` images, `run` what lives while it runs."""

    root: Path
    data: Path
    run: Path

    @property
    def socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def record(self) -> Path:
        """The running engine: process ids and address block, as JSON."""
        return self.run / "engine.json"

    @property
    def docker(self) -> Path:
        return self.root / "usr/bin/docker"


def engine_folders(settings: LabSettings) -> EngineFolders:
    return EngineFolders(
        root=settings.cache / f"engine-{settings.engine_suite}",
        data=settings.cache / "docker",
        run=settings.state / "engine",
    )


def client_engine(settings: LabSettings, *, version: str = "", reason: str = "") -> Engine:
    """The engine as a client sees it, whether or not it runs."""
    folders = engine_folders(settings)
    return Engine(
        kind="private",
        docker=str(folders.docker),
        host=f"unix://{folders.socket}",
        config=settings.state / "docker-config",
        version=version,
        reason=reason,
    )


# ---- starting ----------------------------------------------------------------------------------------------------


def is_answering(machine: Machine, engine: Engine) -> bool:
    asked = machine.run(
        [engine.docker, "version", "--format", "{{.Server.Version}}"], timeout_s=10, environ=engine.environ()
    )
    return asked.ok


def read_version(machine: Machine, engine: Engine) -> str:
    asked = machine.run(
        [engine.docker, "version", "--format", "{{.Server.Version}}"], timeout_s=10, environ=engine.environ()
    )
    return asked.stdout.strip()


def start(machine: Machine, settings: LabSettings) -> None:
    """Start the engine and wait until it answers. What a killed one left is cleared away first."""
    folders = engine_folders(settings)
    stop(machine, settings)
    _claim_data(settings)
    folders.run.mkdir(parents=True, exist_ok=True)
    folders.data.mkdir(parents=True, exist_ok=True)
    cable = uplink.plan_uplink(machine, settings.name)
    config = folders.run / "daemon.json"
    config.write_text(render_daemon_config(folders, cable, settings) + "\n")
    process = _spawn_engine(folders, config, _resolv_conf(settings, folders))
    _write_record(folders, engine=process.pid, block=str(cable.block.network))
    try:
        _wait_until(lambda: _has_own_network(process.pid), process, folders, timeout_s=10)
        uplink.switch_forwarding_on(folders.run / "ip-forward.before")
        uplink.connect(machine, cable, process.pid)
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        engine = client_engine(settings)
        _wait_until(lambda: folders.socket.exists() and is_answering(machine, engine), process, folders, timeout_s=60)
        os.chown(folders.socket, settings.owner.uid, settings.owner.gid)
    except BaseException:
        stop(machine, settings)
        raise


def _claim_data(settings: LabSettings) -> None:
    """Two engines must not write the same images: the cache notes whose engine uses it."""
    claim = settings.cache / "engine-state"
    other = Path(claim.read_text()) if claim.exists() else settings.state
    if other != settings.state and is_alive(replace(settings, state=other)):
        raise PrereqError(
            f"the cache {settings.cache} is used by the lab at {other}",
            remedy=f"set {PREFIX}CACHE to another folder, or take that lab down",
            kind="config.prerequisite.folder",
        )
    claim.write_text(str(settings.state))


def render_daemon_config(folders: EngineFolders, cable: uplink.Uplink, settings: LabSettings) -> str:
    """dockerd's configuration: all places its own, the containerd image store, packets no longer than the uplink's."""
    config: dict[str, object] = {
        "data-root": str(folders.data),
        "exec-root": str(folders.run / "exec"),
        "pidfile": str(folders.run / "dockerd.pid"),
        "hosts": [f"unix://{folders.socket}"],
        "features": {"containerd-snapshotter": True},
        "storage-driver": "overlayfs",
        # systemd would be asked over D-Bus with process ids that mean nothing outside this namespace
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{settings.name}",
        "ip6tables": False,
        "mtu": cable.mtu,
        "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": str(cable.mtu)}},
        "bip": cable.block.bridge,
        "default-address-pools": [{"base": cable.block.pool, "size": 24}],
        "log-opts": {"max-size": "10m", "max-file": "2"},
    }
    if settings.dns:
        config["dns"] = [settings.dns]
    return json.dumps(config, indent=2)


def _spawn_engine(folders: EngineFolders, config: Path, resolv_conf: Path | None) -> subprocess.Popen[bytes]:
    programs = f"{folders.root}/usr/sbin:{folders.root}/usr/bin"
    namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"]
    tini = [str(folders.root / "usr/bin/tini-static"), "-s", "--"]
    start_script = ["/bin/sh", str(data_folder("lab") / "engine-start.sh"), str(resolv_conf or "-")]
    dockerd = [str(folders.root / "usr/sbin/dockerd"), "--config-file", str(config)]
    with (folders.run / "dockerd.log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", *namespaces, *tini, *start_script, *dockerd],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**os.environ, "PATH": f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            start_new_session=True,  # Ctrl-C at `lab up` must not reach the engine
        )


def _resolv_conf(settings: LabSettings, folders: EngineFolders) -> Path | None:
    """A name server list that is right inside the engine's network, when the machine's own is not."""
    system = Path("/etc/resolv.conf")
    text = system.read_text() if system.exists() else ""
    upstream = Path("/run/systemd/resolve/resolv.conf")
    own = folders.run / "resolv.conf"
    if settings.dns:
        own.write_text(f"nameserver {settings.dns}\n")
        return own
    if not has_only_loopback_servers(text):
        return None
    if upstream.exists():
        return upstream
    raise PrereqError(
        "this machine's name server is on its own loopback, where the private engine cannot ask it",
        remedy=f"set {PREFIX}DNS to the address of a name server",
        kind="config.prerequisite.network",
    )


def has_only_loopback_servers(resolv_conf: str) -> bool:
    """Do all name servers in this resolv.conf lie on the machine's own loopback?"""
    lines = (line.split() for line in resolv_conf.splitlines())
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return bool(servers) and all(server.startswith("127.") or server == "::1" for server in servers)


def _has_own_network(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    return False


def _wait_until(
    is_true: Callable[[], bool], process: subprocess.Popen[bytes], folders: EngineFolders, *, timeout_s: float
) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if process.poll() is not None or time.monotonic() > deadline:
            log = (folders.run / "dockerd.log").read_text(errors="replace")
            raise PrereqError(
                "the private Docker engine does not start",
                remedy="the lab needs root with the rights to mount, to make namespaces and to administer the network",
                evidence={"output": "\n".join(log.splitlines()[-15:])},
                kind="config.prerequisite.engine",
            )
        time.sleep(0.05)


# ---- the ports on this machine's loopback ---------------------------------------------------------------------------


def has_ports(settings: LabSettings) -> bool:
    """Does the lab itself listen on its ports?"""
    record = read_record(engine_folders(settings))
    return is_process(record.get("bridge"), _bridge_words(record))


def ensure_ports(settings: LabSettings) -> None:
    """Have the process that carries the lab's ports into the engine's network."""
    folders = engine_folders(settings)
    record = read_record(folders)
    if has_ports(settings):
        return
    with (folders.run / "portbridge.log").open("wb") as log:
        bridge = subprocess.Popen(
            [sys.executable, *_bridge_words(record), *map(str, settings.ports.numbers())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    _write_record(folders, **{**record, "bridge": bridge.pid})
    assert bridge.stdout is not None
    if bridge.stdout.readline().strip() != b"ready":
        raise PrereqError(
            "the lab's ports cannot be opened on 127.0.0.1",
            remedy=f"see which program listens there, or choose others by {PREFIX}PORT_…",
            evidence={"output": (folders.run / "portbridge.log").read_text()[-1500:]},
            kind="config.prerequisite.port",
        )


# ---- stopping ----------------------------------------------------------------------------------------------------


def is_alive(settings: LabSettings) -> bool:
    folders = engine_folders(settings)
    return is_process(read_record(folders).get("engine"), _engine_words(folders))


def stop(machine: Machine, settings: LabSettings) -> None:
    """End the engine and take away everything it left on this machine. Fine when nothing was ever started."""
    folders = engine_folders(settings)
    record = read_record(folders)
    if record:
        _end_processes(folders, record)
        block = uplink.choose_block([], (str(record["block"]),))
        uplink.disconnect(machine, uplink.Uplink(settings.name, block, mtu=1500))
        uplink.switch_forwarding_back(machine, folders.run / "ip-forward.before")
        remove_cgroups(settings.name)
        for left in ("containerd/s", "containerd", "docker/plugins", "docker/netns", "docker", "runc"):
            with contextlib.suppress(OSError):  # another engine may use them; rmdir takes empty folders only
                (Path("/run") / left).rmdir()
    # In the next engine's process namespace the same numbers are other processes: no pid file may survive.
    shutil.rmtree(folders.run / "exec", ignore_errors=True)
    for path in (folders.record, folders.socket, folders.run / "dockerd.pid"):
        path.unlink(missing_ok=True)


def _end_processes(folders: EngineFolders, record: Mapping[str, object]) -> None:
    engine, bridge = record.get("engine"), record.get("bridge")
    if is_process(engine, _engine_words(folders)):
        _end_engine(int(str(engine)))
    if is_process(bridge, _bridge_words(record)):
        end_process(int(str(bridge)), signal.SIGTERM, patience_s=5)


def _engine_words(folders: EngineFolders) -> list[str]:
    """Words that stand side by side in the command line of this engine's process and of no other."""
    return ["--config-file", str(folders.run / "daemon.json")]


def _bridge_words(record: Mapping[str, object]) -> list[str]:
    return ["-m", "hpcbake.lab.portbridge", str(record.get("engine"))]


def read_record(folders: EngineFolders) -> dict[str, object]:
    """What is known of the running engine; empty when none was started."""
    try:
        record = json.loads(folders.record.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(folders: EngineFolders, **record: object) -> None:
    partial = folders.record.with_suffix(".partial")
    partial.write_text(json.dumps(record) + "\n")
    partial.replace(folders.record)


def _end_engine(pid: int) -> None:
    """Ask dockerd (below tini, below unshare) to stop its containers and end; insist after a while."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for child in children.read_text().split() if children.exists() else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGTERM)
    if not is_gone_within(pid, 20):
        end_process(pid, signal.SIGKILL, patience_s=10)
