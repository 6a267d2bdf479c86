# hpc-app: a small solver in C with a Python driver, in two variants.

variable "REGISTRY" {
  default     = "registry.example.org"
  description = "where images go; the lab sets it to its own registry"
}

variable "VERSION" {
  default = "1.0.0"
}

# The userland of the clusters. The lab, which cannot have Rocky Linux, sets this to its Debian 11 stand-in.
variable "BASE" {
  default     = "rockylinux/rockylinux:8.10"
  description = "base image; pin it by digest in a project of your own"
}

# What the final image stands on; a slimmer sibling of BASE where there is one.
variable "BASE_MINIMAL" {
  default = BASE
}

group "default" {
  targets = ["hpc-app"]
}

target "_common" {
  context    = "."
  dockerfile = "Dockerfile"
  platforms  = ["linux/amd64"]
  args = {
    BASE         = BASE
    BASE_MINIMAL = BASE_MINIMAL
  }
  labels = {
    "org.opencontainers.image.title"   = "hpc-app"
    "org.opencontainers.image.version" = VERSION
  }
}

target "hpc-app" {
  name     = "hpc-app-${variant}"
  inherits = ["_common"]
  matrix = {
    variant = ["serial", "openmp"]
  }
  args = {
    OPENMP = equal(variant, "openmp") ? "1" : "0"
  }
  tags = ["${REGISTRY}/demo/hpc-app:${VERSION}-${variant}"]
}
