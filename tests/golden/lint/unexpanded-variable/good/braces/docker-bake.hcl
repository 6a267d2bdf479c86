variable "TAG" { default = "1" }
target "default" {
  tags = ["registry.example.org/team/app:${TAG}"]
  args = { PROMPT = "$USER" }
}
