"""What a delivery costs, beside what people use instead, on the lab that is up.

    . lab.env; python benchmarks/deliver_sites.py [--sites 16] [--image IMAGE] [--runs 5] [--only unchanged]

unchanged  the second `hpcbake deliver` to N sites, beside the same no-op (is this file there, with this sum?) by
           pyinfra and by ansible, which both get a virtual environment of their own. The N sites are N stores on one
           login node: N host names, N connections, N threads. hpcbake goes twice: over connections that the run
           before has kept (`transport: openssh`, `persist`), and over new ones (`fabric`, the default). pyinfra, which
           keeps none, has its own operation for a file with a sum, and a bare `sha256sum`. ansible keeps its
           connections for 60 s by default, and does so here; it goes with its own modules (facts, `stat`), for which
           the node gets a Python for the time, and with `raw` alone.
convert    CPU time of one conversion on the build host, comparison with the image included, beside that of
           `apptainer pull docker://` of the same image.
pull       CPU time and peak memory of `apptainer pull oras://` on a login node, beside 4 × `pull docker://`.

Programs on a node are measured by the node itself (`times` of the shell, VmHWM of the processes). The runs of what is
compared alternate. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

TARGETS = {"pyinfra": 3.0, "ansible": 10.0, "login_cpu": 50.0, "login_peak_mb": 64.0, "convert_cpu": 0.25}
NODE = "alder"


class Bench:
    """A folder with site configs, and the lab's names."""

    def __init__(self, folder: Path, sites: int, image: str) -> None:
        self.folder = folder
        name, _, digest = image.partition("@")
        # apptainer takes a tag or a digest, not both
        self.name = name.rpartition(":")[0]
        self.image = f"{self.name}@{digest}"
        self.ssh_config = Path(os.environ["HPCBAKE_LAB_SSH_CONFIG"])
        self.names = [f"site{number:02d}" for number in range(sites)]
        self.root = f"/scratch/bench-{os.getpid()}"
        self.environment = {
            **os.environ,
            "HPCBAKE_STATE": str(folder / "state"),
            "HPCBAKE_CACHE_DIR": str(folder / "cache"),
        }

    def ssh(self, command: str) -> str:
        done = subprocess.run(
            ["ssh", "-F", str(self.ssh_config), NODE, command], capture_output=True, text=True, check=True
        )
        return done.stdout

    def write_sites(self) -> None:
        """One config and one ssh alias per site; every alias is the same node."""
        shown = subprocess.run(
            ["ssh", "-F", str(self.ssh_config), "-G", NODE], capture_output=True, text=True, check=True
        ).stdout
        wanted = ("hostname", "port", "user", "identityfile", "userknownhostsfile", "hostkeyalias")
        block = "".join(f"  {line}\n" for line in shown.splitlines() if line.split(" ")[0] in wanted)
        block += "  IdentitiesOnly yes\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
        (self.folder / "ssh_config").write_text("".join(f"Host {name}\n{block}\n" for name in self.names))
        configs = self.folder / "site-configs"
        configs.mkdir()
        for name in self.names:
            (configs / f"{name}.yaml").write_text(
                f"name: {name}\nlogin: {{host: {name}, ssh_config: {self.folder / 'ssh_config'}}}\n"
                f"store: {{root: {self.root}/{name}}}\n"
                f'runtime: {{way: oras, plain_http: ["{os.environ["REGISTRY"]}"]}}\n'
                'profile: {arch: x86_64, glibc: "2.41", apptainer: "1.4.5"}\n'
            )

    def delivered(self) -> tuple[str, str]:
        """The SIF below each store, and its sha256."""
        hex_digest = self.image.rpartition(":")[2]
        sif = f"sif/app/{hex_digest}.sif"
        return sif, self.ssh(f"sha256sum {self.root}/{self.names[0]}/{sif}").split()[0]

    def deliver(self) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "hpcbake", "deliver", "--json", f"app={self.image}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        report: dict[str, Any] = json.loads(done.stdout)
        return report


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--sites", type=int, default=16)
    options.add_argument("--image", default=os.environ.get("BASE", ""), help="by digest; default: the lab's BASE")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--only", choices=["unchanged", "convert"])
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hpcbake-bench-") as name:
        bench = Bench(Path(name), args.sites, args.image)
        bench.write_sites()
        try:
            result: dict[str, Any] = {
                "kind": "hpcbake.benchmark.deliver",
                "version": 1,
                "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0]},
                "sites": args.sites,
                "image": args.image,
                "targets": TARGETS,
            }
            if args.only != "unchanged":
                result["convert_and_pull"] = measure_conversion(bench)
            if args.only != "convert":
                bench.deliver()
                result["unchanged"] = measure_unchanged(bench, args.runs)
        finally:
            bench.ssh(f"rm -rf {bench.root}")
    print(json.dumps(result, indent=2))


# ---- one conversion, many pulls --------------------------------------------------------------------------------------

#: Runs a command on the node, and says its CPU seconds (children included) and the largest memory of any process.
MEASURE = r"""
folder=$(mktemp -d -p /scratch); cd "$folder"; export APPTAINER_CACHEDIR=$folder/cache APPTAINER_TMPDIR=$folder
(
  COMMAND >log 2>&1; echo "$?" >code; times >times
) &
job=$!
peak=0
while kill -0 $job 2>/dev/null; do
  for status in /proc/[0-9]*/status; do
    set -- $(sed -n 's/^Name:[[:space:]]*\(.*\)/\1/p; s/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "$status" 2>/dev/null)
    case $1 in apptainer* | mksquashfs | starter*) [ "${2:-0}" -le "$peak" ] || peak=$2 ;; esac
  done
  sleep 0.05
done
echo "code $(cat code)"; tail -n 1 times; echo "peak_kb $peak"; cd /; chmod -R u+w "$folder"; rm -rf "$folder"
"""


def on_node(bench: Bench, command: str) -> dict[str, float]:
    said = bench.ssh(f"bash -s <<'MEASURED'\n{MEASURE.replace('COMMAND', command)}\nMEASURED").splitlines()
    if "code 0" not in said:
        raise SystemExit(f"{command} failed: {said}")
    user, system = next(line for line in said if "m" in line and "s" in line and line[0].isdigit()).split()
    peak = next(line for line in said if line.startswith("peak_kb")).split()[1]
    return {"cpu_s": _seconds(user) + _seconds(system), "peak_mb": int(peak) / 1024}


def _seconds(text: str) -> float:
    minutes, _, seconds = text.partition("m")
    return 60 * float(minutes) + float(seconds.rstrip("s"))


#: What hpcbake adds to apptainer's conversion: every file of the image and of the SIF summed up and compared.
COMPARE = """
import os, sys
from pathlib import Path
from hpcbake.adapters.imagesource import RegistrySource
from hpcbake.adapters.registry import RegistryClient
from hpcbake.adapters.sif import hash_sif
from hpcbake.image.content import compare_content, hash_image
from hpcbake.model.reference import parse_image_reference

source = RegistrySource(RegistryClient.from_environment(os.environ), parse_image_reference(sys.argv[1]))
assert not compare_content(hash_image(source), hash_sif(Path(sys.argv[2])))
"""


def measure_conversion(bench: Bench) -> dict[str, Any]:
    """One conversion is apptainer's build, as the node measures it, and the comparison on the build host."""
    reference = bench.image
    squashfs = "-comp zstd -Xcompression-level 3 -mem 1G"
    docker = on_node(bench, f"apptainer pull --no-https x.sif docker://{reference}")
    build = on_node(bench, f"apptainer build --no-https --mksquashfs-args '{squashfs}' x.sif docker://{reference}")
    report = bench.deliver()
    kept = next((bench.folder / "cache" / "sif").glob("*.sif"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", COMPARE, reference, str(kept)], check=True, env=bench.environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    digest = report["targets"][0]["digest"].removeprefix("sha256:")
    oras = on_node(bench, f"apptainer pull --no-https x.sif oras://{bench.name}:sha256-{digest}.sif")
    return {
        "docker_pull": docker,
        "apptainer_build": build,
        "compare_cpu_s": round(ours, 2),
        "oras_pull": oras,
        "convert_cpu": round((build["cpu_s"] + ours) / docker["cpu_s"], 3),
        "login_cpu": round(4 * docker["cpu_s"] / (4 * oras["cpu_s"]), 1),
        "login_peak_mb": round(oras["peak_mb"], 1),
    }


# ---- nothing to do ---------------------------------------------------------------------------------------------------


def measure_unchanged(bench: Bench, runs: int) -> dict[str, Any]:
    """Wall time of the no-op, alternating; every tool checks the same file on every site."""
    keep_connections(bench)
    commands = rival_commands(bench)
    for name, folder in (("hpcbake_kept", "kept"), ("hpcbake_new", "site-configs")):
        commands[name] = [sys.executable, "-m", "hpcbake", "deliver", "--site-configs", folder, f"app={bench.image}"]
    environment = {
        **bench.environment,
        # ansible's own default, with the sites' ssh_config in front
        "ANSIBLE_SSH_ARGS": f"-F {bench.folder / 'ssh_config'} -C -o ControlMaster=auto -o ControlPersist=60s",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_HOME": str(bench.folder / "ansible"),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    # The first round makes what is kept: connections, and bytecode.
    for round_number in range(runs + 1):
        for name, argv in commands.items():
            taken = timed(bench, argv, environment)
            if round_number:
                spent[name].append(taken)
    medians = {name: statistics.median(wall for wall, _ in values) for name, values in spent.items()}
    rivals = [name for name in medians if not name.startswith("hpcbake")]
    return {
        "seconds": {name: [round(wall, 2) for wall, _ in values] for name, values in spent.items()},
        "controller_cpu_s": {name: round(statistics.median(c for _, c in v), 2) for name, v in spent.items()},
        "times_faster": {
            ours: {rival: round(medians[rival] / medians[ours], 2) for rival in rivals}
            for ours in ("hpcbake_kept", "hpcbake_new")
        },
        "round_trips_per_site": count_scripts(bench),
    }


def timed(bench: Bench, argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of wall time, and of CPU on this machine, of one command that must succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(argv, cwd=bench.folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{argv} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def keep_connections(bench: Bench) -> None:
    """The same sites once more, by the user's own ssh, whose connections stay for the next run."""
    kept = bench.folder / "kept"
    kept.mkdir()
    for path in (bench.folder / "site-configs").glob("*.yaml"):
        text = path.read_text().replace("login: {", "login: {transport: openssh, persist: 5m, ")
        (kept / path.name).write_text(text)


def rival_commands(bench: Bench) -> dict[str, list[str]]:
    """What people would write for pyinfra and ansible, and the least that either can do."""
    tools = make_tools(bench)
    sif, known = bench.delivered()
    (bench.folder / "inventory.py").write_text(
        f"sites = [(name, {{'root': '{bench.root}/' + name, 'ssh_config_file': '{bench.folder / 'ssh_config'}'}})"
        f" for name in {bench.names!r}]\n"
    )
    (bench.folder / "file.py").write_text(
        "from pyinfra import host\nfrom pyinfra.operations import files\n"
        f"files.download(name='the SIF', src='http://127.0.0.1:9/app.sif', dest=host.data.root + '/{sif}',"
        f" sha256sum='{known}')\n"
    )
    (bench.folder / "shell.py").write_text(
        "from pyinfra import host\nfrom pyinfra.operations import server\n"
        f"server.shell(name='look', commands=['sha256sum ' + host.data.root + '/{sif}'])\n"
    )
    python = put_python(bench)
    (bench.folder / "hosts").write_text(
        "".join(
            f"{name} ansible_python_interpreter={python or '/none'} root={bench.root}/{name}\n" for name in bench.names
        )
    )
    (bench.folder / "playbook.yml").write_text(
        "- hosts: all\n  tasks:\n    - ansible.builtin.stat:\n"
        f'        path: "{{{{ root }}}}/{sif}"\n        checksum_algorithm: sha256\n      register: sif\n'
        f"    - ansible.builtin.assert: {{that: sif.stat.exists and sif.stat.checksum == '{known}'}}\n"
    )
    forks = ["-i", "hosts", "-f", str(len(bench.names))]
    commands = {
        "pyinfra": [str(tools / "pyinfra"), "--no-wait", "-y", "inventory.py", "file.py"],
        "pyinfra_shell": [str(tools / "pyinfra"), "--no-wait", "-y", "inventory.py", "shell.py"],
        "ansible": [str(tools / "ansible-playbook"), *forks, "playbook.yml"],
        "ansible_raw": [str(tools / "ansible"), *forks, "all", "-m", "raw", "-a", f"sha256sum {{{{ root }}}}/{sif}"],
    }
    if not python:
        print("without apt-get here no Python for the node: ansible's modules are left out", file=sys.stderr)
        del commands["ansible"]
    return commands


#: Makes a Python of Debian packages run where they were unpacked.
PYTHON = """
mkdir -p ROOT/python; tar -C ROOT/python -xz 2>/dev/null; r=ROOT/python
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' $r/lib/x86_64-linux-gnu:$r/usr/lib/x86_64-linux-gnu \
  "$(ls $r/usr/bin/python3.*)" >$r/python3
chmod +x $r/python3; $r/python3 -c 'import json, hashlib, zipfile' && echo $r/python3
"""


def put_python(bench: Bench) -> str:
    """A Python on the node, below the benchmark's folder; empty where none can be had."""
    folder = bench.folder / "python"
    folder.mkdir()
    shown = subprocess.run(
        ["sh", "-c", "apt-cache depends python3-minimal | sed -n 's/.*Depends: \\(python3[.0-9]*-minimal\\)/\\1/p'"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    name = shown.stdout.strip()
    packages = [name, f"lib{name}", f"lib{name.replace('-minimal', '-stdlib')}", "libexpat1"]
    got = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, check=False)
    if not name or got.returncode:
        return ""
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
    packed = subprocess.run(["tar", "-C", folder / "root", "-cz", "."], capture_output=True, check=True).stdout
    argv = ["ssh", "-F", str(bench.ssh_config), NODE, PYTHON.replace("ROOT", bench.root)]
    done = subprocess.run(argv, input=packed, capture_output=True, check=False)
    return done.stdout.decode().strip()


def make_tools(bench: Bench) -> Path:
    folder = bench.folder / "tools"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "pyinfra", "ansible-core"]
    subprocess.run(pip, check=True)
    return folder / "bin"


def count_scripts(bench: Bench) -> int:
    """How many scripts an unchanged delivery sends to a site, as the node's sshd counts sessions' commands."""
    site = bench.names[0]
    log = f"{bench.root}/commands"
    wrapper = f'printf "%s\\n" "$SSH_ORIGINAL_COMMAND" >>{log}; exec sh -c "$SSH_ORIGINAL_COMMAND"'
    keys = bench.ssh("cat ~/.ssh/authorized_keys")
    forced = "".join(f"command={json.dumps(wrapper)} {line}\n" for line in keys.splitlines() if line.strip())
    bench.ssh(f"cp ~/.ssh/authorized_keys {bench.root}/keys; cat >~/.ssh/authorized_keys <<'KEYS'\n{forced}KEYS")
    try:
        argv = [sys.executable, "-m", "hpcbake", "deliver", "--site", site, f"app={bench.image}"]
        subprocess.run(argv, cwd=bench.folder, env=bench.environment, capture_output=True, check=True)
    finally:
        bench.ssh(f"cp {bench.root}/keys ~/.ssh/authorized_keys")
    # Each script is one command; the command that puts the keys back is none of them.
    return bench.ssh(f"cat {log}").count("exec /bin/sh")


if __name__ == "__main__":
    main()
