group "default" {
  targets = ["app", "worker", "extra"]
}
target "worker" {
  tags     = ["${MIRROR}worker:${TAG}"]
  no-cache = true
}
