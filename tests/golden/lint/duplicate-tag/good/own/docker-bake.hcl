target "default" {
  name = "app-${v}"
  matrix = { v = ["1", "2"] }
  tags = ["registry.example.org/app:${v}"]
}
