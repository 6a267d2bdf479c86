"""Runs hpcbake as it is, in a world that is not: a clock days off, a registry behind somebody who spoils answers.

Only what the operating system would give is changed, and it is changed before hpcbake is loaded.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import urllib3.util.connection as web

_clock = time.time
_connect = web.create_connection


def _live_in(environment: dict[str, str]) -> None:
    offset_s = float(environment.get("WORLD_CLOCK_OFFSET_S", "0"))
    if offset_s:
        time.time = lambda: _clock() + offset_s
    real, _, spoiled = environment.get("WORLD_REGISTRY", "").partition("=")
    if spoiled:

        def connect(address: tuple[str, int], *arguments: Any, **named: Any) -> Any:
            place = ("127.0.0.1", int(spoiled)) if address[1] == int(real) else address
            return _connect(place, *arguments, **named)

        web.create_connection = connect


if __name__ == "__main__":
    _live_in(dict(os.environ))
    sys.argv[0] = "hpcbake"
    from hpcbake.cli.main import main

    main()
