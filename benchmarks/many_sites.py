"""Twenty sites of which five are dead in five ways, beside the fifteen that live alone, on the lab that is up.

    . lab.env; python benchmarks/many_sites.py [--runs 3] [--until deliver]

Every site is a store of its own on one login node. `done_s` is when the last living site was done, `all_s` when the run
ended: a dead site is given up at its own deadlines. Runs with and without dead sites alternate, each with an image that
is new. Prints one JSON document; the target is 1.5.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.integration.chain import BAKE_FILE, DOCKERFILE
from tests.integration.fleet import dead_ports, write_fleet

HEALTHY = 15
TARGET = 1.5


def ship(folder: Path, content: str, until: str) -> tuple[float, float, int]:
    """Seconds to the last living site's end, seconds of the whole run, and the exit code."""
    began = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "hpcbake",
            "ship",
            "--progress",
            "rawjson",
            "--until",
            until,
            "--var",
            f"CONTENT={content}",
        ],
        cwd=folder,
        env={**os.environ, "HPCBAKE_STATE": str(folder / "state"), "HPCBAKE_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    whole = time.monotonic() - began
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    ends = [
        event["elapsed_s"]
        for event in events
        if event.get("stage") == until
        and event.get("status") == "done"
        and (event.get("site") or "").startswith("site")
    ]
    if len(ends) != HEALTHY:
        raise SystemExit(f"{len(ends)} of {HEALTHY} sites were done\n{done.stderr}")
    return max(ends), whole, done.returncode


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--until", choices=["deliver", "promote"], default="deliver")
    args = options.parse_args()
    ssh_config = Path(os.environ["HPCBAKE_LAB_SSH_CONFIG"])
    root = f"/scratch/bench-many-{os.getpid()}"
    alone: list[float] = []
    mixed: list[float] = []
    ends: list[float] = []
    with tempfile.TemporaryDirectory(prefix="hpcbake-many-") as name, dead_ports() as dead:
        folder = Path(name)
        word = uuid.uuid4().hex[:8]
        (folder / "Dockerfile").write_text(DOCKERFILE.replace("\n    ", "\n").lstrip())
        bake = BAKE_FILE.replace("\n    ", "\n").lstrip().replace("IMAGE", f"many-{word}").replace("NAMESPACE", "bench")
        (folder / "docker-bake.hcl").write_text(bake)
        try:
            for _ in range(args.runs):
                for times, with_dead in ((alone, {}), (mixed, dead)):
                    for key in ("stranger", "stranger.pub"):
                        (folder / key).unlink(missing_ok=True)
                    write_fleet(
                        folder,
                        ssh_config=ssh_config,
                        registry=os.environ["REGISTRY"],
                        root=root,
                        healthy=HEALTHY,
                        dead=with_dead,
                    )
                    done_s, all_s, code = ship(folder, uuid.uuid4().hex, args.until)
                    assert code == (3 if with_dead else 0)
                    times.append(done_s)
                    ends += [all_s] if with_dead else []
        finally:
            subprocess.run(["ssh", "-F", str(ssh_config), "alder", f"rm -rf {root}"], check=False)
    result = {
        "kind": "hpcbake.benchmark.many-sites",
        "version": 1,
        "machine": {"cpus": os.cpu_count(), "load": os.getloadavg()[0]},
        "until": args.until,
        "target": TARGET,
        "ratio": round(statistics.median(mixed) / statistics.median(alone), 2),
        "alone": {"done_s": alone},
        "with_five_dead": {"done_s": mixed, "all_s": ends},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
