target "default" {
  tags = ["registry.example.org/me/app:1"]
}
