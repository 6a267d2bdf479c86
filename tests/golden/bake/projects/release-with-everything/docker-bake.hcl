target "default" {
  description = "all attributes at once"
  inherits    = ["parent"]
  annotations = ["manifest:org.example.a=1", "org.example.b=$${b}"]
  attest      = ["type=sbom,generator=example/scanner", { type = "provenance", mode = "min", version = "v1" }]
  context     = "src"
  contexts    = { removed = "", kept = "./x/../kept" }
  dockerfile  = "Containerfile"
  args        = { A = "1", "WITH SPACE" = "x", EMPTY = "", NULL = null, HTML = "<a href='x'>&</a>", NEWLINE = "a\nb\tc" }
  labels      = { "org.example/x" = "é", "org.example/y" = "\u2028" }
  tags        = ["a:1", "a:1", "", "b"]
  cache-from  = ["reg/a,reg/b", "type=local,src=cache", { type = "s3", region = "eu", bucket = "b", name = "n" }]
  cache-to    = ["type=inline", { type = "registry", ref = "reg/cache", mode = "max", oci-mediatypes = true }]
  target      = "final"
  secret      = ["id=one,env=ONE", "type=env,id=two,src=TWO", { id = "three", env = "THREE" }]
  platforms   = ["linux/amd64", "linux/arm64/v8", "linux/amd64", ""]
  output = [
    "type=image,\"name=a:1,b:2\",push=false,annotation.org.example.x=y",
    { type = "local", dest = "out", platform-split = false },
    "type=oci,dest=image.tar",
  ]
  pull            = true
  no-cache        = false
  network         = "host"
  no-cache-filter = ["a", "b", "a", ""]
  shm-size        = "1.5 GiB"
  ulimits         = ["nofile=1024:4096", "core=0"]
  call            = "check"
  entitlements    = ["security.insecure", "network.host"]
  extra-hosts     = { "mirror.example.org" = "10.0.0.1", none = null }
}

target "parent" {
  annotations     = ["org.example.b=$${b}", "org.example.parent=1"]
  args            = { A = "0", P = "parent" }
  contexts        = { removed = "target:nothing-uses-this", parent = "docker-image://alpine" }
  secret          = ["id=two,env=PARENT", "id=four,env=FOUR"]
  cache-from      = ["reg/b", "reg/p"]
  no-cache-filter = ["p", "a"]
  tags            = ["parent"]
}
