"""What a delivery costs, beside what people use instead, on the lab that is up.

    . lab.env; python benchmarks/deliver_sites.py [--sites 16] [--image IMAGE] [--runs 5]

unchanged  the second `hpcbake deliver` to N sites, beside the same no-op (is this file there, with this sum?) by
           pyinfra and by ansible's raw module, which both get a virtual environment of their own. The N sites are N
           stores on one login node: N host names, N connections, N threads.
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
    args = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hpcbake-bench-") as name:
        bench = Bench(Path(name), args.sites, args.image)
        bench.write_sites()
        try:
            result = {
                "kind": "hpcbake.benchmark.deliver",
                "version": 1,
                "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0]},
                "sites": args.sites,
                "image": args.image,
                "targets": TARGETS,
                "convert_and_pull": measure_conversion(bench),
                "unchanged": measure_unchanged(bench, args.runs),
            }
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
    """Wall time of the no-op, alternating; every tool checks the same file's existence and size on every site."""
    tools = make_tools(bench)
    commands = {
        "hpcbake": [sys.executable, "-m", "hpcbake", "deliver", f"app={bench.image}"],
        "pyinfra": [str(tools / "pyinfra"), "--no-wait", "-y", "inventory.py", "deploy.py"],
        "ansible": [str(tools / "ansible"), "-i", "hosts", "all", "-f", str(len(bench.names)), "-m", "raw", "-a",
                    "sha256sum {{ root }}/sif/app/*.sif"],
    }  # fmt: skip
    (bench.folder / "inventory.py").write_text(
        f"sites = [(name, {{'root': '{bench.root}/' + name, 'ssh_config_file': '{bench.folder / 'ssh_config'}'}})"
        f" for name in {bench.names!r}]\n"
    )
    (bench.folder / "deploy.py").write_text(
        "from pyinfra import host\nfrom pyinfra.operations import server\n"
        "server.shell(name='look', commands=['sha256sum ' + host.data.root + '/sif/app/*.sif'])\n"
    )
    (bench.folder / "hosts").write_text("".join(f"{name} root={bench.root}/{name}\n" for name in bench.names))
    environment = {
        **bench.environment,
        "ANSIBLE_SSH_ARGS": f"-F {bench.folder / 'ssh_config'} -o ControlMaster=no",
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/true",
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, argv in commands.items():
            began = time.monotonic()
            done = subprocess.run(argv, cwd=bench.folder, env=environment, capture_output=True, text=True, check=False)
            seconds[name].append(time.monotonic() - began)
            if done.returncode:
                raise SystemExit(f"{name} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "seconds": {name: [round(value, 2) for value in values] for name, values in seconds.items()},
        "pyinfra": round(medians["pyinfra"] / medians["hpcbake"], 2),
        "ansible": round(medians["ansible"] / medians["hpcbake"], 2),
        "round_trips_per_site": count_scripts(bench),
    }


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
