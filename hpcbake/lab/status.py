"""What is up, under which names and ports, and which versions its machines really run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from hpcbake.lab.compose import CHECKED_NODES, NODES, Compose, Container
from hpcbake.lab.environment import LabRecord
from hpcbake.lab.machine import Machine
from hpcbake.lab.preflight import find_open_ports

KIND = "hpcbake.lab.status"
VERSION = 1

#: Asked on every machine with a cluster; a login shell, because apptainer may come with a module.
_QUESTIONS = r"""
echo "os=$(. /etc/os-release; echo "$PRETTY_NAME")"
echo "glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)"
echo "slurm=$(sinfo -V 2>/dev/null | cut -d' ' -f2)"
command -v apptainer >/dev/null || module load apptainer 2>/dev/null
echo "apptainer=$(apptainer --version 2>/dev/null | cut -d' ' -f3)"
echo "nodes=$(sinfo -h -N -o '%N %T' 2>/dev/null | sort -u | paste -sd, -)"
"""
_CLUSTER_MACHINES = ("alder", "birch", "birch-c1")


@dataclass(frozen=True)
class NodeStatus:
    """One machine: what Docker says of it, and what it says of itself (empty where it was not asked)."""

    name: str
    state: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabStatus:
    """A lab at this moment. `record` is None when none was brought up with this state folder."""

    state: Path
    record: LabRecord | None
    nodes: tuple[NodeStatus, ...] = ()
    closed_ports: tuple[int, ...] = ()

    @property
    def is_up(self) -> bool:
        """Is every machine healthy and every port open?"""
        healthy = [node for node in self.nodes if node.state == "healthy"]
        return self.record is not None and len(healthy) == len(NODES) and not self.closed_ports

    def document(self) -> dict[str, object]:
        """The JSON form."""
        base: dict[str, object] = {"kind": KIND, "version": VERSION, "up": self.is_up, "state": str(self.state)}
        if self.record is None:
            return base
        record = self.record
        return {
            **base,
            "name": record.name,
            "engine": {"kind": record.engine.kind, "version": record.engine.version, "host": record.engine.host},
            "registry": record.registry,
            "registry_tls": record.registry_tls,
            "ports": {"alder": record.ports.alder, "bastion": record.ports.bastion},
            "closed_ports": list(self.closed_ports),
            "bases": dict(record.bases),
            "nodes": {node.name: {"state": node.state, **node.facts} for node in self.nodes},
        }


def read_status(machine: Machine, state: Path, record: LabRecord | None) -> LabStatus:
    """Look at the lab. Never raises: what does not answer is `absent` or has no facts."""
    if record is None:
        return LabStatus(state, None)
    compose = Compose(machine, record.engine, record.variables)
    containers = compose.containers()
    with ThreadPoolExecutor(max_workers=len(NODES)) as pool:
        nodes = tuple(pool.map(lambda name: _read_node(compose, name, containers.get(name)), NODES))
    open_ports = find_open_ports(record.ports)
    closed = tuple(port for port in record.ports.numbers() if port not in open_ports)
    return LabStatus(state, record, nodes, closed)


def parse_answers(text: str) -> dict[str, str]:
    """The `name=value` lines, empty values left out."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs if name and value.strip()}


def render_status(status: LabStatus) -> str:
    """The terminal form: one line per machine."""
    if status.record is None:
        return f"no lab is up at {status.state}\n"
    record = status.record
    condition = "up" if status.is_up else "NOT WHOLE"
    lines = [
        f"{record.name}: {condition} on {record.engine.kind} Docker {record.engine.version}",
        f"state      {status.state}",
        f"registry   {record.registry} (plain), {record.registry_tls} (TLS and password)",
        "",
        f"{'machine':13}{'state':23}{'port':7}{'glibc':7}{'slurm':10}{'apptainer':11}system",
    ]
    ports = {"alder": record.ports.alder, "bastion": record.ports.bastion}
    ports |= {"registry": record.ports.registry, "registry-tls": record.ports.registry_tls}
    for node in status.nodes:
        facts = [node.facts.get(name, "-") for name in ("glibc", "slurm", "apptainer")]
        port = str(ports.get(node.name, "-"))
        lines.append(
            f"{node.name:13}{node.state:23}{port:7}{facts[0]:7}{facts[1]:10}{facts[2]:11}{node.facts.get('os', '-')}"
        )
    lines += ["", *(f"{variable:13}{reference}" for variable, reference in record.bases.items())]
    if status.closed_ports:
        lines += ["", f"not open on 127.0.0.1: {', '.join(map(str, status.closed_ports))}; `hpcbake lab up` mends that"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _read_node(compose: Compose, name: str, container: Container | None) -> NodeStatus:
    if container is None:
        return NodeStatus(name, "absent")
    state = container.health if container.state == "running" else container.state
    if container.state == "running" and name in CHECKED_NODES:
        # Docker's own check is up to half a minute old.
        health = compose.docker(["exec", container.name, "lab-health"], timeout_s=20)
        state = "healthy" if health.ok else health.stdout.strip() or "not ready"
    if name not in _CLUSTER_MACHINES or container.state != "running":
        return NodeStatus(name, state)
    asked = compose.docker(["exec", "--user", "alice", container.name, "bash", "-lc", _QUESTIONS], timeout_s=20)
    return NodeStatus(name, state, parse_answers(asked.stdout))
