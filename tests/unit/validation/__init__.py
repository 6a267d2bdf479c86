"""Tests of hpcbake.validation."""
