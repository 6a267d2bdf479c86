# Every solver with every toolchain that the clusters have.
variable "REGISTRY" {
  default     = "registry.example.org/hpc"
  description = "Where images are pushed"
}

variable "VERSION" {
  default = "0.0.0-dev"
  validation {
    condition     = can(regex("^[0-9]+[.][0-9]+[.][0-9]+(-[a-z0-9.]+)?$", VERSION))
    error_message = "VERSION must look like 1.2.3 or 1.2.3-rc.1."
  }
}

variable "TOOLCHAINS" {
  type = list(object({ name = string, gcc = string, mpi = string, level = optional(string) }))
  default = [
    { name = "stable", gcc = "8.5", mpi = "openmpi-4.1.6", level = "x86-64-v2" },
    { name = "next", gcc = "13.2", mpi = "mpich-4.2.0", level = null },
  ]
}

variable "PUBLISH" {
  type    = bool
  default = false
}

function "image" {
  params = [name, suffix]
  result = "${REGISTRY}/${name}:${VERSION}${suffix == "" ? "" : "-${suffix}"}"
}

function "labels" {
  params          = [title]
  variadic_params = extra
  result = merge({
    "org.opencontainers.image.title"   = title
    "org.opencontainers.image.version" = VERSION
    "org.opencontainers.image.source"  = "https://git.example.org/hpc/solvers"
  }, extra...)
}

group "default" {
  targets = ["solver"]
}

group "everything" {
  description = "Solvers and tools"
  targets     = ["solver", "tools", "docs"]
}

target "_common" {
  context   = "."
  platforms = ["linux/amd64"]
  pull      = true
  args = {
    BASE   = "rockylinux/rockylinux:8.10"
    JOBS   = 8
    STATIC = false
  }
  cache-from = ["type=registry,ref=${REGISTRY}/cache:main"]
  attest     = ["type=provenance,mode=max", "type=sbom"]
}

target "solver" {
  name = "solver-${tc.name}-${precision}"
  matrix = {
    tc        = TOOLCHAINS
    precision = ["single", "double"]
  }
  inherits   = ["_common"]
  dockerfile = "docker/solver.Dockerfile"
  target     = PUBLISH ? "release" : "development"
  args = {
    GCC       = tc.gcc
    MPI       = tc.mpi
    PRECISION = precision
    CFLAGS    = try("-O2 -march=${tc.level}", "-O2")
  }
  labels     = labels("Solver, ${precision} precision", { "org.example.toolchain" = tc.name })
  tags       = [image("solver", "${tc.name}-${precision}"), PUBLISH ? image("solver", "") : ""]
  cache-to   = PUBLISH ? ["type=registry,ref=${REGISTRY}/cache:main,mode=max"] : []
  output     = [PUBLISH ? "type=registry" : "type=docker"]
}

target "tools" {
  inherits = ["_common"]
  contexts = {
    solver = "target:solver-stable-double"
    base   = "docker-image://rockylinux/rockylinux:8.10-minimal"
  }
  tags = [image("tools", "")]
}

target "docs" {
  dockerfile-inline = <<-EOT
    FROM alpine:3.20
    RUN echo "$${VERSION}" && printf '%%{n}'
    ARG VERSION=${VERSION}
  EOT
  output = ["type=local,dest=site"]
}
