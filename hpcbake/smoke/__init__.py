"""Deployment to SmokeResult: small jobs on compute nodes that tell the truth."""
