target "default" {
  target = "runtim"
}
