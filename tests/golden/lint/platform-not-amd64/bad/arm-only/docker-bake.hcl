target "default" {
  tags = ["registry.example.org/app:1"]
  platforms = ["linux/arm64"]
}
