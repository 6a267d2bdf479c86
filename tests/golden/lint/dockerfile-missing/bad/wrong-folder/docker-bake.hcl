target "default" {
  context = "app"
  dockerfile = "app/Dockerfile"
}
