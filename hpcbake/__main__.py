"""`python -m hpcbake` is the same program as `hpcbake`."""

from hpcbake.cli.main import main

if __name__ == "__main__":
    main()
