"""Thirty nights on the lab with a fault in each: how they ended, how long they took, and what has grown.

    python benchmarks/thirty_nights.py [--nights 30] [--seed 1]

Needs the lab (`hpcbake lab up`). Ends with 1 when a promise is broken; the last line is the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpcbake import lab as lab_package
from tests.faults.nights import check_end, choose_faults, make_nights, own_disk, spend_nights
from tests.integration.conftest import RunningLab


def running_lab() -> RunningLab:
    """The lab that is up."""
    settings = lab_package.read_settings(os.environ, uid=os.getuid(), gid=os.getgid())
    record = lab_package.read_lab_record(settings.state)
    if record is None:
        sys.exit("the lab is not up: hpcbake lab up")
    environment = {**os.environ, **lab_package.lab_environment(settings.state)}
    return RunningLab(settings.state, environment, record.registry, record.registry_tls)


def main() -> None:
    """Spend the nights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thirty-nights-") as name:
        folder = Path(name)
        with own_disk(folder / "state", 4096):
            nights = make_nights(running_lab(), folder, arguments.seed)
            try:
                faults = choose_faults(arguments.nights, random.Random(arguments.seed))
                results = spend_nights(nights, faults, lambda line: print(line, flush=True))
                figures = check_end(nights)
            finally:
                nights.wipe()
    seconds = sorted(result.seconds for result in results)
    print(
        json.dumps(
            {
                "nights": len(results),
                "changed": sum(result.changed for result in results),
                "exit codes": dict(sorted(Counter(str(result.code) for result in results).items())),
                "seconds": {"all": round(time.monotonic() - began), "median": round(seconds[len(seconds) // 2], 1)},
                "at the end": figures,
            }
        )
    )


if __name__ == "__main__":
    main()
