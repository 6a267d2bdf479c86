target "default" {
  args = { A = "1", B = "2", BUILDKIT_INLINE_CACHE = "1", HTTP_PROXY = "http://proxy.example.org" }
}
