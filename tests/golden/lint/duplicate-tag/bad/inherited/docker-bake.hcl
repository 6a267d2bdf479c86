group "default" {
  targets = ["a", "b"]
}
target "a" {
  tags = ["registry.example.org/app:1"]
}
target "b" {
  inherits = ["a"]
}
