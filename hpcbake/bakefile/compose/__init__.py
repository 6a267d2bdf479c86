"""Compose files as bake files: every service with a `build` is a target.

The rules are those of compose-go 2.9, as buildx 0.29.1 uses it: only `services.*.{image, build, environment,
env_file}` and `secrets` matter, `.env` is read, and paths are relative to the folder that bake runs in.
"""

from hpcbake.bakefile.compose.project import is_compose, read_compose

__all__ = ["is_compose", "read_compose"]
