target "default" {
  dockerfile-inline = "FROM ubuntu:24.04"
}
