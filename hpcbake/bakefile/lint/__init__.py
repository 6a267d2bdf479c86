"""What a bake file and its Dockerfiles say that will hurt on a cluster, before anything is built."""

from hpcbake.bakefile.lint.finding import LintFinding
from hpcbake.bakefile.lint.registry import RULES
from hpcbake.bakefile.lint.run import LintReport, lint

__all__ = ["RULES", "LintFinding", "LintReport", "lint"]
