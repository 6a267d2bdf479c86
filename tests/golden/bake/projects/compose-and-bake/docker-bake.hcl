target "web" {
  args   = { FROM_BAKE = "yes" }
  output = ["type=docker"]
}
target "api_v2" {
  tags = ["api:bake"]
}
target "only-bake" {
  inherits = ["web"]
}
