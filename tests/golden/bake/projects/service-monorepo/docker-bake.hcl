
variable "REGISTRY" { default = "ghcr.io/acme" }
variable "VERSION" {
  default = "v1.2.3-rc.1+build.5"
  validation {
    condition = can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+", VERSION))
    error_message = "VERSION must look like v1.2.3, not ${VERSION}."
  }
}
variable "PUSH" { default = false }
variable "PLATFORMS" { default = "linux/amd64,linux/arm64" }
variable "GITHUB_SHA" { default = null }
variable "CI" { default = "" }
variable "SERVICES" {
  type = list(object({ name = string, port = number, deps = optional(list(string)) }))
  default = [
    { name = "api", port = 8080, deps = ["db", "cache"] },
    { name = "web", port = 3000 },
    { name = "worker", port = 0, deps = [] },
  ]
}
variable "LIMITS" {
  type = map(number)
  default = { api = 2, web = 1.5 }
}
function "semver" {
  params = [v]
  result = regex("^v?(?P<major>[0-9]+)\\.(?P<minor>[0-9]+)\\.(?P<patch>[0-9]+)", v)
}
function "tags" {
  params = [name]
  variadic_params = extra
  result = concat(
    ["${REGISTRY}/${name}:${replace(trimprefix(VERSION, "v"), "+", "_")}"],
    strlen(regex_replace(VERSION, "[^-]", "")) == 0 ? ["${REGISTRY}/${name}:latest"] : [],
    [for e in extra : "${REGISTRY}/${name}:${e}" if e != null && e != ""],
  )
}
function "cache" {
  params = [scope, mode]
  result = CI != "" ? ["type=gha,scope=${scope},mode=${mode}"] : []
}
group "default" { targets = ["services", "tools"] }
group "tools" { targets = ["lint", "docs"] }
group "all" {
  targets = ["default", "infra"]
  description = "everything"
}
group "infra" { targets = ["tf", "tools"] }
target "_base" {
  platforms = split(",", PLATFORMS)
  pull = true
  labels = {
    "org.opencontainers.image.version" = VERSION
    "org.opencontainers.image.revision" = GITHUB_SHA
    "maintainer" = "team@acme.example"
  }
  attest = ["type=provenance,mode=max", "type=sbom"]
  output = [PUSH ? "type=registry" : "type=docker"]
  annotations = ["index,manifest:org.opencontainers.image.title=acme"]
}
target "services" {
  name = "svc-${svc.name}-${variant}"
  inherits = ["_base"]
  matrix = {
    svc = SERVICES
    variant = ["prod", "debug"]
  }
  context = "services/${svc.name}"
  dockerfile = variant == "debug" ? "Dockerfile.debug" : null
  target = variant
  args = {
    PORT = svc.port
    DEPS = svc.deps == null ? "none" : join(" ", svc.deps)
    LIMIT = lookup(LIMITS, svc.name, 0.5)
    MAJOR = semver(VERSION).major
    HAS_DEPS = try(length(svc.deps) > 0, false)
  }
  contexts = {
    base = "target:base-${variant}"
    src = "./src"
  }
  tags = tags(svc.name, variant, GITHUB_SHA)
  cache-from = cache("${svc.name}-${variant}", "min")
  cache-to = cache("${svc.name}-${variant}", "max")
  no-cache-filter = variant == "debug" ? ["install"] : []
}
target "base" {
  matrix = { variant = ["prod", "debug"] }
  name = "base-${variant}"
  context = "base"
  platforms = ["linux/amd64", "linux/arm64", "linux/ppc64le"]
  target = variant
}
target "lint" {
  dockerfile-inline = <<EOT
FROM alpine
RUN echo $${HOME} ${VERSION} %%{x}
%{ for s in SERVICES ~}
RUN lint ${s.name}%{ if s.port > 0 } --port ${s.port}%{ endif }
%{ endfor ~}
EOT
  output = ["type=cacheonly"]
}
target "docs" {
  inherits = ["_base"]
  context = "docs"
  output = [{ type = "local", dest = "out/docs" }]
  secret = [{ id = "token", env = "TOKEN" }, "id=npm,env=NPM_TOKEN"]
  ssh = ["default=key.pem", { id = "other", paths = ["key.pem"] }]
  ulimits = ["nofile=1024:2048", "nproc=10"]
  shm-size = "128m"
  extra-hosts = { "my.host" = "1.2.3.4", other = "::1" }
  network = "none"
  entitlements = ["network.host"]
}
target "tf" {
  inherits = ["docs", "_base"]
  args = { FROM_DOCS = target.docs.context, N = length(target._base.platforms), P = target._base.pull }
  tags = ["tf:${target.lint.output[0].type}"]
  output = []
}
