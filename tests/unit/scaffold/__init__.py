"""Tests of hpcbake.scaffold and the verb init."""
