target "default" {
  tags     = ["registry.example.org/team/app:1"]
  cache-to = ["type=registry,ref=registry.example.org/team/app:cache,mode=all", "type=inline,mode=max"]
}
