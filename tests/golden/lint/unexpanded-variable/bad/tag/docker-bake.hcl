variable "TAG" { default = "1" }
target "default" {
  tags = ["registry.example.org/team/app:$TAG"]
  cache-from = ["type=registry,ref=$REGISTRY/app:cache"]
}
