"""The `hpcbake` command: finds the verb, and turns every failure into its exit code.

Verbs are imported only when they are called, so that `hpcbake --help` stays as quick as a bare click program; and click
itself only when it is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

#: verb → (module, one-line help). The order is the order of `hpcbake --help`: the common path first.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("hpcbake.cli.init", "Begin a project: bake file, Dockerfile, tests, site config, CI."),
    "ship": (
        "hpcbake.cli.ship",
        "Bring images from the bake file to every site: build, check, deliver, smoke, promote.",
    ),
    "plan": ("hpcbake.cli.plan", "Show what ship would do at every site, and why; change nothing."),
    "nightly": ("hpcbake.cli.nightly", "Ship what has changed since last night, and mend what sites missed: for cron."),
    "status": ("hpcbake.cli.status", "Show what is on every site."),
    "report": ("hpcbake.cli.report", "Show what runs came to: in the terminal, a browser, CI, monitoring."),
    "history": ("hpcbake.cli.history", "Show what users of each site were given, and when."),
    "rollback": ("hpcbake.cli.rollback", "Make an earlier release the current one again."),
    "gc": ("hpcbake.cli.gc", "Remove releases that nobody needs."),
    "doctor": ("hpcbake.cli.doctor", "Look for what will go wrong, here and at every site."),
    "validate": ("hpcbake.cli.validate", "Look for mistakes in every config file at once."),
    "explain": ("hpcbake.cli.explain", "Say what an error means and what to do, by its code."),
    "print": ("hpcbake.cli.print", "Show the plan: bake files with everything resolved."),
    "lint": ("hpcbake.cli.lint", "Look for what will hurt on a cluster, before anything is built."),
    "build": ("hpcbake.cli.build", "Build and push the targets; print the digests."),
    "builder": ("hpcbake.cli.builder", "The machines that build: add a native one by ssh, list, check, remove."),
    "check": ("hpcbake.cli.check", "Judge whether an image runs on a site."),
    "diff": ("hpcbake.cli.diff", "Show what a new image needs and offers that an old one did not."),
    "deliver": ("hpcbake.cli.deliver", "Put the SIF of a digest into the store of every site."),
    "smoke": ("hpcbake.cli.smoke", "Run the smoke tests of a delivered SIF on compute nodes."),
    "promote": ("hpcbake.cli.promote", "Make a smoke-tested SIF the current one."),
    "sites": ("hpcbake.cli.sites", "The clusters: what is declared, whether it holds, and how to declare one."),
    "config": ("hpcbake.cli.config", "Show the settings, and who said so."),
    "completion": ("hpcbake.cli.completion", "Print what lets the Tab key complete hpcbake in bash, zsh or fish."),
    "lab": ("hpcbake.cli.lab", "A real miniature cluster on this machine."),
}


def main() -> NoReturn:
    """Run the command line and exit with the code that the outcome's class has."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()  # what cannot be written is told here, and not by the interpreter at its end
    except Exception as failure:  # noqa: BLE001  (the one border where everything ends up)
        from hpcbake.cli.failure import report_failure

        sys.exit(report_failure(failure))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def run(arguments: Sequence[str]) -> object:
    """Do what the words ask for.

    A plain `print` does without click, which takes longer to load than a plan to make; so do `--version` and the Tab
    key.
    """
    if list(arguments) == ["--version"]:
        from hpcbake import __version__

        sys.stdout.write(f"hpcbake, version {__version__}\n")
        return 0
    if arguments[:1] == ["__complete"]:
        from hpcbake.cli.complete import main as complete

        return complete(arguments[1:])
    if arguments[:1] == ["print"]:
        from hpcbake.cli.print_words import read_words

        words = read_words(arguments[1:])
        if words is not None:
            from hpcbake.cli.printing import print_words

            print_words(words)
            return 0
    from hpcbake.cli.group import hpcbake

    return hpcbake.main(args=list(arguments), standalone_mode=False)
