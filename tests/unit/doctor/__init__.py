"""Tests of hpcbake.doctor."""
