# ruff: noqa: BLE001, T201, UP031
"""Runs in the container: imports the modules that are named. Speaks every Python from 2.7 on."""

import importlib
import sys

print("hpcbake-figure python=%d.%d.%d" % tuple(sys.version_info[:3]))
missing = 0
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # a module may even call sys.exit
        print("cannot import %s: %s: %s" % (name, type(error).__name__, error))
        missing += 1
    else:
        print("hpcbake-figure %s=%s" % (name, getattr(module, "__version__", "imported")))
print("%d modules cannot be imported" % missing if missing else "all modules imported")
sys.stdout.flush()
sys.exit(3 if missing else 0)
