# A common mistake, kept as an example: the program is built on a newer distribution than it runs on.
# `hpcbake ship` stops it at the check, before anything reaches a site.

variable "REGISTRY" {
  default = "registry.example.org"
}

variable "BASE" {
  default = "rockylinux/rockylinux:8.10"
}

variable "NEWER_BASE" {
  default = "debian:trixie"
}

group "default" {
  targets = ["broken-glibc"]
}

target "broken-glibc" {
  platforms = ["linux/amd64"]
  args = {
    BASE       = BASE
    NEWER_BASE = NEWER_BASE
  }
  tags = ["${REGISTRY}/demo/broken-glibc:1.0.0"]
}
