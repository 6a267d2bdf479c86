"""Driver of the Poisson solver: runs it on refined grids and checks that the error falls as theory says.

    hpc-app 255          solve once, print the solver's JSON
    hpc-app --verify     solve on three grids; VERIFIED if the order of convergence is 2
"""

import json
import math
import os
import subprocess
import sys

SOLVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "poisson")


def solve(n):
    """One run of the solver with n inner points per side, as a dict."""
    return json.loads(subprocess.check_output([SOLVER, str(n)]).decode())


def verify():
    """Second-order differences: halving the spacing must quarter the error."""
    runs = [solve(n) for n in (31, 63, 127)]
    orders = [math.log(a["max_error"] / b["max_error"], 2) for a, b in zip(runs, runs[1:])]
    for run in runs:
        print("n={n:4d} threads={threads} iterations={iterations:4d} max_error={max_error:.3e}".format(**run))
    print("hpcbake-figure order={:.3f}".format(orders[-1]))
    print("hpcbake-figure threads={}".format(runs[-1]["threads"]))
    print("hpcbake-figure solve_seconds={:.4f}".format(sum(run["seconds"] for run in runs)))
    good = all(abs(order - 2.0) < 0.05 for order in orders)
    print("VERIFIED second order" if good else "WRONG orders {}".format(orders))
    return 0 if good else 1


def main(argv):
    if argv == ["--verify"]:
        return verify()
    if len(argv) == 1 and argv[0].isdigit():
        print(json.dumps(solve(int(argv[0]))))
        return 0
    sys.stderr.write(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
