target "default" {
  args = { PYTHON_VERSON = "3.12" }
}
