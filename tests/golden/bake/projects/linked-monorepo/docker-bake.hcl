variable "TAG" { default = "main" }

group "default" { targets = ["frontend", "backend"] }

target "base" {
  context    = "./base"
  platforms  = ["linux/amd64", "linux/arm64"]
  output     = ["type=image,push=true"]
  entitlements = ["network.host"]
}

target "runtime" {
  inherits = ["base"]
  contexts = { base = "target:base" }
  context  = "./runtime/"
}

target "backend" {
  context  = "./services/../services/backend"
  contexts = {
    runtime = "target:runtime"
    assets  = "target:frontend"
    schema  = "https://git.example.org/hpc/schema.git#v3"
  }
  platforms = ["linux/amd64"]
  secret    = ["id=netrc,env=NETRC", { id = "token", env = "BUILD_TOKEN" }]
  ssh       = []
  tags      = ["backend:${TAG}"]
}

target "frontend" {
  context = "services/frontend"
  tags    = ["frontend:${TAG}"]
  args    = { BACKEND_TAGS = join(",", target.backend.tags), PLATFORM = target.base.platforms[0] }
}
