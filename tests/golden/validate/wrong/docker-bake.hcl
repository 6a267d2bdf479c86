group "default" {
  targets = ["app"]
}
target "app" {
  tags     = ["r.example.org/app:1"]
  platform = ["linux/amd64"]
}
target "tool" {
  inherits = ["bsae"]
}
