target "app" {
  args = { B = nope }
  x = 1 +
}
