target "default" {
  args = { BASE = "rockylinux/rockylinux:8.10" }
}
