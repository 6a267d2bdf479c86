target "default" {
  tags = ["registry.example.org/hpc/app:1.0"]
}
