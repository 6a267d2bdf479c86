target "default" {
  contexts = { builders = "docker-image://busybox" }
}
