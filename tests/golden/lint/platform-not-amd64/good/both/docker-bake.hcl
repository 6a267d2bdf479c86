target "default" {
  tags = ["registry.example.org/app:1"]
  platforms = ["linux/amd64", "linux/arm64"]
}
