target "default" {
  tags = ["registry.example.org/team/app:1"]
}
