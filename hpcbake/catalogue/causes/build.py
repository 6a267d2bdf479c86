"""What docker buildx and BuildKit print when a build fails. The specific before the general."""

from __future__ import annotations

from hpcbake.catalogue.causes.cause import Cause

BUILD: tuple[Cause, ...] = (
    Cause(
        "docker-permission",
        r"permission denied while trying to connect to the Docker|"
        r"dial unix .*docker\.sock: connect: permission denied",
        "config.docker",
        "this account may not talk to the Docker daemon",
        "sudo usermod -aG docker $USER, then log in anew; or give --builder",
    ),
    Cause(
        "docker-down",
        r"Cannot connect to the Docker daemon|docker daemon is not running|dial unix .*docker\.sock|"
        r"error during connect",
        "config.docker",
        "the Docker daemon does not answer",
        "start Docker, or give --builder",
    ),
    Cause(
        "buildx-missing",
        r"'buildx' is not a docker command|unknown command.*buildx|unknown flag: --metadata-file",
        "config.buildx",
        "docker has no buildx plugin",
        "install docker-buildx 0.13 or newer",
    ),
    Cause(
        "builder-missing",
        r"no builder .* found",
        "config.builder",
        "there is no such builder",
        "list them: docker buildx ls",
    ),
    Cause(
        "build-race",
        r"(?:image|failed to (?:create|export)).*already exists",
        "image.race",
        "another build of the same image was faster",
        "run the same command again",
    ),
    Cause(
        "build-entitlement",
        r"additional privileges requested|granting entitlement .* is not allowed",
        "image.entitlement",
        "the plan asks for privileges that were not given",
        "pass what you accept of the list above with --allow",
    ),
    Cause(
        "build-exec-format",
        r"exec format error",
        "image.platform",
        "a build step runs a program of another processor, and this builder cannot emulate it",
        "use a builder on that processor (--builder), or install binfmt emulation there",
    ),
    Cause(
        "build-step",
        r"process \"(?:.|\n)*?\" did not complete successfully",
        "image.build",
        "a build step failed",
        "the failing instruction and its last lines are above",
    ),
    Cause(
        "build-dockerfile",
        r"dockerfile parse error|unknown instruction|Dockerfile cannot be empty|"
        r"base name .* should not be blank",
        "image.build",
        "a Dockerfile is not one that BuildKit reads",
        "mend the line that is shown; `hpcbake lint` reads Dockerfiles without building",
    ),
    Cause(
        "build-secret",
        r"ERROR: (?:failed to solve: )?secret \S+: not found|unset ssh forward key",
        "image.build",
        "a build step wants a secret or an ssh agent that was not given",
        "give it in the target: secret = […], ssh = […]",
    ),
    Cause(
        "build-auth",
        r"(?:failed to push|push access denied|server message: insufficient_scope|failed to authorize).*"
        r"(?::? 40[13] [A-Z]|denied|[Uu]nauthorized|insufficient_scope|no basic auth)|no basic auth credentials",
        "registry.auth",
        "the registry refused the login",
        "log in: docker login REGISTRY",
    ),
    Cause(
        "build-base-auth",
        r"failed to resolve source metadata for .*(?:40[13] [A-Z]|[Uu]nauthorized)",
        "registry.auth",
        "the registry of a base image refused the login",
        "log in: docker login REGISTRY",
    ),
    Cause(
        "build-rate-limit",
        r"429 Too Many Requests|toomanyrequests",
        "registry.rate-limit",
        "the registry's rate limit is used up",
        "try later",
    ),
    Cause(
        "build-plain-http",
        r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake",
        "registry.plain-http",
        "the registry speaks plain HTTP, and the builder was not told to",
        'tell the builder: `[registry."HOST"] http = true` in buildkitd.toml, or `insecure-registries` of the '
        "Docker engine",
    ),
    Cause(
        "build-tls",
        r"x509: ",
        "registry.tls",
        "the registry's certificate is not trusted by the builder",
        "give the builder the registry's CA",
    ),
    Cause(
        "build-push-unavailable",
        r"failed to push .*(?:connection refused|connection reset|EOF|timeout|no such host|:? 50\d [A-Z])",
        "registry.unavailable",
        "the push did not get through",
        "run the same command again",
    ),
    Cause(
        "build-push",
        r"failed to push ",
        "registry.push",
        "the registry did not take the image",
        "the registry's own words are above",
    ),
    Cause(
        "build-base-unavailable",
        r"failed to (?:resolve source metadata for|do request).*(?:connection refused|"
        r"connection reset|i/o timeout|no such host|: EOF|:? 50\d [A-Z])",
        "registry.unavailable",
        "the registry of a base image does not answer the builder",
        "check the name in the FROM line and the builder's network (proxy?); run the same command again",
    ),
    Cause(
        "build-copy",
        r"failed to calculate checksum of ref .*: not found|failed to compute cache key.*: not found",
        "image.context",
        "a Dockerfile copies a file that is not in the context",
        "paths are relative to the context; look into .dockerignore, which may leave it out",
    ),
    Cause(
        "build-base",
        r"failed to resolve source metadata for|pull access denied|failed to load metadata|: not found\b",
        "image.base",
        "a base image cannot be found",
        "check the FROM lines; `rockylinux:8.10` is published as `rockylinux/rockylinux:8.10`",
    ),
    Cause(
        "build-context",
        r"failed to read dockerfile|unable to prepare context|no such file or directory",
        "image.context",
        "a Dockerfile or a file of the context is missing",
        "paths are relative to the folder hpcbake runs in",
    ),
    Cause(
        "build-space", r"no space left on device", "image.space", "the builder's disk is full", "docker buildx prune"
    ),
)
